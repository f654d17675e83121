package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"spate/internal/api"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/termsafe"
)

// daemonLog is the name of the log of a daemon that open has started, in the state directory.
const daemonLog = "daemon.log"

// Limits of the start of a daemon.
const (
	startTime   = 2 * time.Minute // for the daemon to answer
	lateTime    = 5 * time.Second // for another daemon with the same state, which starts at the same time
	maxLog      = 1 << 20         // bytes of the log at which a new one is begun
	maxLogWords = 2 << 10         // bytes at the end of the log that an error contains
	pollTime    = 50 * time.Millisecond
)

// startDaemon starts spate serve in the background, and returns a client of it once it answers.
func (a *app) startDaemon(ctx context.Context, state string, idle time.Duration) (*api.Client, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	args := []string{"serve", "--state", state, "--idle-exit", idle.String()}
	if a.config != "" {
		config, err := filepath.Abs(a.config) // the daemon has another current directory
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", config)
	}
	downloads, err := a.ownDownloads()
	if err != nil {
		return nil, err
	}
	if downloads != "" {
		args = append(args, "--download-dir", downloads)
	}
	if home, err := os.UserHomeDir(); err == nil && !a.isSet("serve", "browse") {
		args = append(args, "--browse", home) // the client is that of this user alone
	}
	c := api.New(state)
	said, err := a.runDaemon(ctx, c, state, args)
	if err != nil && fault.CodeOf(err) == fault.Network && strings.Contains(said, "the port is taken") && !a.isSet("serve", "listen") {
		a.Notef("the port of the site is taken by another program: using another one")
		_, err = a.runDaemon(ctx, c, state, append(args, "--listen", "0"))
	}
	return c, err
}

// runDaemon runs the program with args in the background until c is answered. If it fails, said is the
// end of its log.
func (a *app) runDaemon(ctx context.Context, c *api.Client, state string, args []string) (said string, err error) {
	path := filepath.Join(state, daemonLog)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return "", err
		}
	}
	log, err := filetrust.OpenAppend(path, 0o600)
	if err != nil {
		return "", err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return "", err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program)
	cmd.Args = append([]string{"spate"}, args...) // not the name of a tool of 2005
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = a.env.Environ, state, log, log, detached()
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fault.New(fault.NoPeers, "look at "+path, "spate serve does not answer on its socket"))
	defer cancel()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	var failed error
	var until time.Time
	for {
		if _, err := c.Status(ctx); err == nil {
			return "", nil
		}
		if failed != nil && time.Now().After(until) {
			said = logWords(path, from)
			return said, fault.New(codeOfExit(failed), "its log is "+path, "spate serve did not start: %s", termsafe.Clip(said, maxLogWords))
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case failed = <-ended: // another open may have started one first
			until = time.Now()
			if said := logWords(path, from); strings.Contains(said, state) {
				until = until.Add(lateTime)
			}
			ended = nil
			if failed == nil {
				failed = errors.New("it has ended")
			}
		case <-tick.C:
		}
	}
}

// codeOfExit returns the code of the error with which a spate has ended.
func codeOfExit(err error) fault.Code {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for code, n := range exitCodes {
			if n == exit.ExitCode() {
				return code
			}
		}
	}
	return fault.Failed
}

// logWords returns the end of the log at path, not before the position from, in one line.
func logWords(path string, from int64) string {
	f, err := filetrust.Open(path, filetrust.Power, nil)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-maxLogWords)
	}
	b := make([]byte, maxLogWords)
	n, _ := f.ReadAt(b, from)
	return string(bytes.Join(bytes.Fields(b[:n]), []byte(" ")))
}

// isSet reports whether the settings or the variables set a flag of a verb.
func (a *app) isSet(verb, flag string) bool {
	if v, ok := a.LookupEnv(varOf(flag)); ok && !blank(v) {
		return true
	}
	_, tree, _, err := a.readSettings()
	if err != nil {
		return false
	}
	table, _ := tree[verb].(map[string]any)
	return tree[flag] != nil || table[flag] != nil
}

// ownDownloads returns the user's directory for downloads, or "" if the settings name another one or
// there is none.
func (a *app) ownDownloads() (string, error) {
	if a.isSet("serve", "download-dir") {
		return "", nil
	}
	home := a.Getenv("HOME")
	if home == "" {
		home = homeDir()
	}
	dir := filepath.Join(home, "Downloads")
	config := a.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(home, ".config")
	}
	text, err := filetrust.Read(filepath.Join(config, "user-dirs.dirs"), maxSettings, filetrust.Power, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if named := userDir(string(text), home); named != "" {
		dir = named
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", nil
	}
	return dir, nil
}

// userDir returns the directory for downloads in the text of a file user-dirs.dirs (xdg-user-dirs), or "".
func userDir(text, home string) string {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "XDG_DOWNLOAD_DIR=")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"`)
		if rest, ok := strings.CutPrefix(value, "$HOME"); ok {
			value = home + rest
		}
		if filepath.IsAbs(value) && filepath.Clean(value) != filepath.Clean(home) { // it is the home if there is none
			return filepath.Clean(value)
		}
	}
	return ""
}
