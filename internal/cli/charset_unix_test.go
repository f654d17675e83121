//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestCharset checks that show names the files of a torrent in another charset than UTF-8 as
// their authors did, and that verify and get find the data under each name that it may have.
func TestCharset(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("file names are Unicode here")
	}
	t.Parallel()
	const raw = "\xd6\xd0\xce\xc4" // 中文 in GBK
	dir := t.TempDir()
	// The piece is the SHA-1 of "data" and "more".
	const torrent = "d8:encoding3:GBK4:infod5:filesld6:lengthi4e4:pathl5:" + raw + "1eed6:lengthi4e4:pathl5:" + raw + "2eee4:name4:" + raw +
		"12:piece lengthi16384e6:pieces20:\xb8\xab\xec\x52\xaa\xcd\x2e\x04\x65\x47\x0a\xd6\xe8\x88\x11\xd3\x38\xe3\x05\x90ee"
	must(t, os.WriteFile(filepath.Join(dir, "t.torrent"), []byte(torrent), 0o600))
	self, err := os.Executable()
	must(t, err)
	program := filepath.Join(t.TempDir(), "spate")
	must(t, copyProgram(self, program))
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("spate %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := run("show", "t.torrent"); !strings.Contains(out, "name           中文\n") || !strings.Contains(out, "中文1") {
		t.Errorf("show prints\n%s", out)
	}
	for at, names := range map[string][3]string{
		"decoded":     {"中文", "中文1", "中文2"},
		"raw":         {raw, raw + "1", raw + "2"},
		"underscores": {"____", "____1", "____2"}, // of a magnet link, and of earlier releases
	} {
		data := filepath.Join(dir, at, names[0])
		must(t, os.MkdirAll(data, 0o700))
		must(t, os.WriteFile(filepath.Join(data, names[1]), []byte("data"), 0o600))
		must(t, os.WriteFile(filepath.Join(data, names[2]), []byte("more"), 0o600))
		if out := run("verify", "t.torrent", filepath.Join(dir, at)); !strings.Contains(out, "2 whole") {
			t.Errorf("%s: verify prints\n%s", at, out)
		}
		if at == "raw" {
			continue // get keeps to the names of spate
		}
		if out := run("get", "t.torrent", "-o", filepath.Join(dir, at), "--state", filepath.Join(dir, at+"state"), "--bind", "127.0.0.1", "--no-dht"); !strings.Contains(out, "complete") {
			t.Errorf("%s: get prints\n%s", at, out)
		}
		if list, _ := os.ReadDir(filepath.Join(dir, at)); len(list) != 1 {
			t.Errorf("%s: get made another directory: %v", at, list)
		}
	}
}
