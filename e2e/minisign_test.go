package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMinisign checks that minisign verifies signatures that spate made with a protected
// key, that spate verifies signatures of minisign, and that the commands on the page work
// in a shell.
func TestMinisign(t *testing.T) {
	t.Parallel()
	need(t, "minisign", "curl")
	l := newLAN(t, 2)
	h, visitor := l.Hosts[0], l.Hosts[1]
	dir := t.TempDir()
	file := noise(t, filepath.Join(dir, "it's a.iso"), 500_000)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Abs("../signature/testdata")
	if err != nil {
		t.Fatal(err)
	}
	key, pub := filepath.Join(keys, "password.key"), filepath.Join(keys, "password.pub")
	if code := h.spate("publish", file, "--sign", key).wait(); code != 2 {
		t.Errorf("signing without the password: exit code %d", code)
	}
	_, r := h.serve("publish", file, "--sign", key, "--password-file", password)

	// Run the command of the page in a shell.
	shell := func(dir, script string, args ...string) {
		t.Helper()
		visitor.start("sh", append([]string{"-ec", "cd \"$1\"; shift; " + script, "sh", dir}, args...)...).ok()
	}
	out := t.TempDir()
	shell(out, `curl -fsSo t.torrent "$1"; curl -fsSo t.torrent.minisig "$1.minisig"; minisign -Vm t.torrent -p "$2"`, r.TorrentURL, pub)
	var line string
	eventually(t, "the checksums are signed", func() bool {
		_, rest, ok := strings.Cut(visitor.start("curl", "-sf", r.PageURL).ok().out.String(), `data-copy="minisign">`)
		line, _, _ = strings.Cut(rest, "</code>")
		return ok
	})
	line = strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#39;", "'").Replace(line)
	command(t, "cp", file, out)
	shell(out, line)

	// Verify with a key and a signature that minisign made.
	shell(out, `minisign -G -W -p m.pub -s m.key; rm t.torrent.minisig; minisign -S -s m.key -m t.torrent`)
	visitor.spate("get", filepath.Join(out, "t.torrent"), "--verify-key", filepath.Join(out, "m.pub"), "-o", t.TempDir()).ok()
	if code := visitor.spate("get", filepath.Join(out, "t.torrent"), "--verify-key", pub, "-o", t.TempDir()).wait(); code != 4 {
		t.Errorf("with another key: exit code %d, want 4", code)
	}
	// Sign with a key that minisign made.
	h.spate("publish", file, "--sign", filepath.Join(out, "m.key"), "--listen", ":7100", "--peer-port", "0", "--json").line("ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })
	visitor.spate("get", "http://"+h.IP+":7100/r/it%27s%20a.iso", "--verify-key", filepath.Join(out, "m.pub"), "-o", t.TempDir()).ok()
}

// TestKeyPassword checks that minisign can open a key that spate made with a password. This
// test is not parallel, because opening such a key takes seconds and a gigabyte of memory.
// This makes guessing the password expensive.
func TestKeyPassword(t *testing.T) {
	need(t, "minisign")
	dir := t.TempDir()
	key, file := filepath.Join(dir, "my.key"), noise(t, filepath.Join(dir, "file"), 1000)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, spateBin, "keys", "new", "--password-file", password, key)
	command(t, "sh", "-c", `minisign -S -s "$1" -m "$2" <"$3"`, "sh", key, file, password)
	command(t, "minisign", "-Vm", file, "-p", filepath.Join(dir, "my.pub"))
}
