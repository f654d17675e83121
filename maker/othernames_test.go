package maker

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"spate/metainfo"
)

// TestNamesThatAreNotUTF8 makes a v1 torrent of names that are not UTF-8, reads it as others
// do, and finds the data at the names that each program stores.
func TestNamesThatAreNotUTF8(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "made", "t\xe9")
	if os.MkdirAll(filepath.Join(made, "d\xe9"), 0o777) != nil {
		t.Skip("this system has only names in UTF-8")
	}
	data := map[string][]byte{"d\xe9/caf\xe9.txt": random(1, 20000), "\x83\x65.bin": random(2, 30000), "tab\t": random(3, 10)}
	write(t, made, data)
	own := mustMake(t, made, Options{Format: metainfo.V1})
	b, err := own.Bytes()
	must(t, err)
	m, err := metainfo.Parse(b)
	must(t, err)
	if m.Info.Name != "t_" || m.Info.RawName != "t\xe9" || m.Hash() != own.Hash() {
		t.Fatalf("the torrent is called %q, in the torrent %q", m.Info.Name, m.Info.RawName)
	}
	for program, names := range map[string][4]string{
		"spate":        {"t_", "d_/caf_.txt", "_e.bin", "tab_"},
		"the bytes":    {"t\xe9", "d\xe9/caf\xe9.txt", "\x83e.bin", "tab\t"},
		"libtorrent":   {"t_", "d_/caf_xt", "_e.bin", "tab\t"},
		"Transmission": {"t\ufffd", "d\ufffd/caf\ufffd.txt", "\ufffde.bin", "tab\t"},
		"aria2":        {"t%E9", "d%E9/caf%E9.txt", "%83e.bin", "tab\t"},
	} {
		at := filepath.Join(dir, program)
		top := filepath.Join(at, names[0])
		write(t, top, map[string][]byte{names[1]: data["d\xe9/caf\xe9.txt"], names[2]: data["\x83\x65.bin"], names[3]: data["tab\t"]})
		if got := NameIn(m, at); got != names[0] {
			t.Errorf("%s: NameIn = %q, want %q", program, got, names[0])
		}
		for _, path := range []string{at, top} {
			if got, err := FindData(m, path); got != top {
				t.Errorf("%s: FindData(%q) = %q, %v, want %q", program, path, got, err, top)
			}
		}
		r, err := Verify(context.Background(), m, top, VerifyOptions{})
		if err != nil || !r.Whole() {
			t.Errorf("%s: Verify returned %+v, %v, want all files", program, r, err)
		}
	}
	if got := NameIn(m, dir); got != "t_" {
		t.Errorf("NameIn without data = %q, want t_", got)
	}
}
