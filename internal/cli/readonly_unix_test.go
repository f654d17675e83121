//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// nobody is the user and the group as which root runs the program.
const nobody = 65534

// TestReadOnlyDirectory checks that each verb says before it hashes data, or asks for a password,
// that it cannot write its output. Hashing the file big takes hours, so a verb that hashes it
// does not end.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "spate")
	self, err := os.Executable()
	must(t, err)
	must(t, copyProgram(self, program))
	var attr *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for _, d := range []string{filepath.Dir(filepath.Dir(program)), filepath.Dir(program)} {
			must(t, os.Chmod(d, 0o755))
		}
	}
	run := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "home"), "XDG_STATE_HOME=")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), errors.Join(err, context.Cause(ctx))
	}
	if out, err := run("version"); err != nil {
		t.Skipf("the program cannot run as an ordinary user here: %v %s", err, out)
	}

	const torrent = "d8:announce17:http://a.example/4:infod6:lengthi1e4:name1:u12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	for _, d := range []string{"home", "rw/w", "rw/dir", "ro/dir", "ro/state"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for _, name := range []string{"rw/big", "rw/dir/big", "ro/big", "ro/dir/big"} {
		f, err := os.Create(filepath.Join(dir, name))
		must(t, err)
		must(t, errors.Join(f.Truncate(4<<40), f.Close()))
	}
	for _, name := range []string{"rw/u", "rw/u.torrent", "ro/u.torrent", "ro/v.torrent"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(torrent), 0o644))
	}
	for _, d := range []string{"ro/dir", "ro/state", "ro"} {
		must(t, os.Chmod(filepath.Join(dir, d), 0o555))
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, d), 0o755) })
	}
	if attr != nil {
		for _, d := range []string{"home", "rw", "rw/w", "rw/dir", "rw/u.torrent"} {
			must(t, os.Chown(filepath.Join(dir, d), nobody, nobody))
		}
	}

	const cannot = `cannot write to the directory \S*`
	for _, c := range []struct{ command, want string }{
		{"create rw/big -o ro/n.torrent", cannot + "ro: permission denied\n  choose"},
		{"create rw/big -o ro/u.torrent --force", cannot + "ro: "},
		{"create rw/big -o ro", cannot + "ro: "},
		{"create ro/big -o ro/", cannot + "ro: "},
		{"create rw/big --name x -o ro/state", cannot + "ro/state: "},
		{"create rw/dir --each -o ro", cannot + "ro: "},
		{"create rw/dir --each -o ro/new/dir", cannot + "ro: permission denied\n  choose"},
		{"edit ro/u.torrent -a http://b.example/", cannot + "ro: permission denied\n  choose"},
		{"edit rw/u.torrent -a http://b.example/ -o ro/n.torrent", cannot + "ro: "},
		{"edit rw/u.torrent ro/u.torrent -a http://a.example/ --comment x", cannot + "ro: "},
		{"keys new ro/k.key", cannot + "ro: permission denied\n  name"},
		{"keys new ro/k.key --password", cannot + "ro: "},
		{"keys new ro/new/dir/k.key --password", cannot + "ro: "},
		{"keys new ro/u.torrent --password", "ro/u.torrent exists already"},
		{"keys new rw/nothing/../../ro/k.key --password", cannot + "ro: "},
		{"get rw/u.torrent -o ro --state rw/st", cannot + "ro: permission denied\n  choose"},
		{"get rw/u.torrent -o rw --state ro/st", "ro/st: permission denied\n  choose"},
		{"seed rw/u.torrent --data rw --state ro/st", "ro/st: permission denied\n  choose"},
		{"publish rw/big --state ro/state --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", "ro/state/lock: permission denied\n  choose"},
		{"publish rw/big --state ro/st --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", "ro/st: permission denied\n  choose"},
		{"publish rw/big --state rw/s1 --log ro/l --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", "ro/l: permission denied\n  choose"},
		{"publish rw/big --state rw/s2 --access-log ro/l --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", "ro/l: permission denied\n  choose"},
		{"serve --watch rw/w --state rw/s3 --keep-dir ro --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", cannot + "ro: permission denied\n  choose another directory with --keep-dir"},
		{"serve --watch rw/w --state rw/s4 --keep-dir ro/new --listen 127.0.0.1:0 --bind 127.0.0.1 --peer-port 0", cannot + "ro: "},
		{"serve backup ro/b.db --state rw/s3", cannot + "ro: permission denied\n  choose"},
		{"site export --public-url http://a.example --state rw/s3 ro/site", cannot + "ro: permission denied\n  choose"},
		{"site export --public-url http://a.example --state rw/s3 ro/a/b/", cannot + "ro: "},
		{"bt btmakemetafile rw/big http://a.example/ --target ro/n.torrent", cannot + "ro: permission denied\n  choose"},
		{"bt btmakemetafile http://a.example/ ro/big ro/dir", cannot + "ro: "},
		{"bt btcompletedir http://a.example/ ro/dir", cannot + "ro/dir: permission denied\n  choose"},
		{"bt btcompletedir http://a.example/ rw/dir --target ro/new", cannot + "ro: "},
		{"bt btreannounce http://b.example/ ro/u.torrent", cannot + "ro: permission denied\n  choose"},
		{"bt btreannounce http://a.example/x rw/u.torrent ro/u.torrent ro/v.torrent", cannot + "ro: .*\n.*" + cannot + "ro: .*\nold announce for rw/u.torrent"},
		{"bt btrename ro/u.torrent x", cannot + "ro: permission denied\n  choose"},
		{"bt btcopyannounce rw/u.torrent ro/u.torrent", cannot + "ro: permission denied\n  choose"},
		{"bt btsethttpseeds http://a.example/ ro/u.torrent", cannot + "ro: permission denied\n  choose"},
	} {
		out, err := run(strings.Fields(c.command)...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !regexp.MustCompile(c.want).MatchString(out) {
			t.Errorf("spate %s: %v, and the output\n%s\nwant a match for %q", c.command, err, out, c.want)
		}
		if strings.Contains(out, ".new") {
			t.Errorf("spate %s names a temporary file:\n%s", c.command, out)
		}
	}
}

// copyProgram links or copies the program from to the path to, where everybody can run it.
func copyProgram(from, to string) error {
	if os.Link(from, to) == nil {
		return os.Chmod(to, 0o755)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
