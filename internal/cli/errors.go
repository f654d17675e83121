package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/sockerr"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/tracker"
	"spate/tracker/trackerclient"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes, which scripts rely on.
const (
	CodeFailed      = 1  // all other failures
	CodeUsage       = 2  // the command line, a variable or the settings file
	CodeNotFound    = 3  // a file, a page or a torrent does not exist
	CodeBadData     = 4  // hash or signature mismatch, malformed torrent
	CodeNoPeers     = 5  // no peers, or timed out
	CodeNetwork     = 6  // the network, or a local address that cannot be used
	CodeInterrupted = 7  // stopped by a signal; the same command resumes
	CodeDiskFull    = 9  // the disk is full
	CodeExists      = 13 // the target exists

	codeKilled = 130 // a second signal stopped a run that cannot be resumed
)

// asUsage gives err the code of a usage error if it has no code.
func asUsage(err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return err
	}
	return &fault.Error{Code: fault.Usage, Err: err, Hint: "spate --help lists the verbs and their flags"}
}

// exitCodes maps the codes of errors to exit codes.
var exitCodes = map[fault.Code]int{
	fault.Failed: CodeFailed, fault.Usage: CodeUsage, fault.NotFound: CodeNotFound, fault.BadData: CodeBadData, fault.NoPeers: CodeNoPeers,
	fault.Network: CodeNetwork, fault.Interrupted: CodeInterrupted, fault.DiskFull: CodeDiskFull, fault.Exists: CodeExists,
}

// exitCode returns the exit code for err.
func exitCode(err error) int { return exitCodes[fault.CodeOf(err)] }

// settingHints maps the setting that an error names to a hint about its flag. Each hint can
// follow "or".
var settingHints = map[string]string{
	"access-log":    "choose another file with --access-log FILE",
	"exclude":       "exclude files with --exclude",
	"force":         "overwrite it with --force, or name another path with -o",
	"hidden":        "include hidden files with --hidden, and check --include and --exclude",
	"keep-dir":      "choose another directory with --keep-dir DIR",
	"log":           "choose another file with --log FILE, or --log off",
	"output":        "choose another directory with -o DIR/",
	"output-apart":  "write to a path outside of the data, or leave the file out with --exclude",
	"output-file":   "choose another output path",
	"output-short":  "choose a shorter name with -o FILE",
	"output-anew":   "download it again with --force",
	"output-cut":    "choose another directory with -o DIR/, or truncate the file with --force",
	"output-name":   "choose a directory on another disk with -o DIR/, or other files with --select",
	"output-force":  "choose another directory with -o DIR/, or overwrite it with --force",
	"password-file": "name a file with --password-file FILE",
	"peer":          "name a peer with --peer IP:PORT",
	"release":       "name the release with --release NAME",
	"select":        "choose others with --select GLOB",
	"short-state":   "choose a shorter --state DIR",
	"state":         "choose another directory with --state DIR",
	"timeout":       "name a peer with --peer IP:PORT; --timeout 0 waits without a limit",
	"tokens":        "choose another file with --tokens FILE",
	"variant":       "repeat --variant NAME for each of them",
	"verify-key":    "download it without this check with --verify-key off",
	"watched-state": "choose another --state or --keep-dir, or one that begins with a dot",
}

// listenHint returns a hint that names the flag for the address of e.
func listenHint(e *daemon.ListenError) string {
	flag := "--" + e.Setting
	address, port := flag+" IP:PORT", flag+" :PORT"
	if e.Setting == "peer-port" {
		address, port = "--bind IP", flag+" PORT"
	}
	hint := "choose another address with " + address
	switch {
	case sockerr.Is(e.Err, syscall.EADDRINUSE):
		hint = "choose another port with " + port + " (0: any free port), or stop the process that uses the port"
	case errors.Is(e.Err, fs.ErrPermission), sockerr.Is(e.Err, syscall.EACCES):
		hint = "only root may use ports below 1024: choose another port with " + port
	}
	if e.Setting == "redirect" {
		hint += ", or --redirect off"
	}
	return hint
}

// hintFor returns a hint about what the user can do about err, or "".
func hintFor(err error) string {
	hint, setting := fault.AdviceOf(err)
	var key *source.KeyChangedError
	var listen *daemon.ListenError
	switch change := settingHints[setting]; {
	case errors.As(err, &key):
		return hint + "; if the publisher confirms the new key, run the same command with --verify-key KEY"
	case hint != "" && change != "":
		return hint + ", or " + change
	case hint != "" || change != "":
		return hint + change
	case errors.As(err, &listen):
		return listenHint(listen)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free disk space and run the same command again"
	case errors.Is(err, syscall.EMFILE):
		return "raise the limit of open files (ulimit -n)"
	case fault.IsUntrusted(err):
		return "it may be expired, for another name, or from an authority that is not trusted; SSL_CERT_FILE names a file of trusted certificates"
	}
	return ""
}

// report prints an error in one or two lines, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code := exitCode(err)
	if errors.Is(err, context.Canceled) && code == CodeFailed {
		if a.resumable.Load() {
			a.Notef("interrupted; run the same command again to resume")
			return CodeInterrupted
		}
		a.Line("spate: interrupted")
		return CodeFailed
	}
	if msg := fault.Message(err); msg != "" {
		a.Line("spate: " + termsafe.Line(termsafe.Clip(msg, 600)))
		if hint := hintFor(err); hint != "" {
			a.Line("  " + termsafe.Line(termsafe.Clip(hint, 300)))
		}
	}
	return code
}

// flagError explains an error in the value of a flag.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		name, cause := bad.GetFlag().Name, bad.Unwrap()
		var num *strconv.NumError
		if errors.As(err, &num) {
			cause = fmt.Errorf("%q is not a valid number", num.Num)
		}
		err = fmt.Errorf("--%s: %w", name, cause)
	}
	hint := cmd.CommandPath() + " --help lists the flags"
	if unknown := new(pflag.NotExistError); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		if near := nearFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return fault.UsageHint(hint, "%w", err)
}

// killedCode returns the exit code after a second signal.
func (a *app) killedCode() int {
	if a.resumable.Load() {
		return CodeInterrupted
	}
	return codeKilled
}

// trackerError adds a code and a hint to an error of the tracker client.
func trackerError(err error) error {
	var (
		failure *tracker.FailureError
		answer  *trackerclient.AnswerError
		silence *trackerclient.SilenceError
		bad     *trackerclient.URLError
	)
	switch {
	case errors.As(err, &failure):
		return &fault.Error{Code: fault.Failed, Err: err}
	case errors.As(err, &bad):
		return &fault.Error{Code: fault.Usage, Err: err, Hint: "a tracker's URL looks like http://HOST:6969/announce or udp://HOST:6969"}
	case errors.As(err, &answer):
		return &fault.Error{Code: fault.Network, Err: err, Hint: "check that the URL is a tracker's and that its path is /announce"}
	case errors.As(err, &silence):
		return &fault.Error{Code: fault.NoPeers, Err: err, Hint: "check that the tracker runs, and that the port is for this protocol (http or udp)"}
	case errors.Is(err, trackerclient.ErrForbiddenAddress):
		return &fault.Error{Code: fault.Network, Err: err}
	case sockerr.Is(err, syscall.ECONNREFUSED):
		return &fault.Error{Code: fault.Network, Err: err, Hint: "nothing listens there: check that the tracker runs, and check the port"}
	}
	return err
}
