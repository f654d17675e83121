//go:build unix

package filetrust

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGiveToOwner checks that a file that root has written belongs to the owner of its directory, and
// that this user cannot get another file of root by a link.
func TestGiveToOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	path, link, hard := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	for _, p := range []string{path, other} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const user = 12345
	if err := os.Chown(dir, user, user); err != nil {
		t.Skip(err)
	}
	if err := GiveToOwner(path); err != nil {
		t.Fatal(err)
	}
	uid := func(p string) uint32 {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := ownerOf(info)
		return o.uid
	}
	if got := uid(path); got != user {
		t.Errorf("the file belongs to %d, want %d", got, user)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(other, hard); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, hard} {
		if err := GiveToOwner(p); err == nil || uid(other) != 0 {
			t.Errorf("%s: error %v, and the other file belongs to %d", filepath.Base(p), err, uid(other))
		}
	}
}
