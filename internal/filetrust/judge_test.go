package filetrust

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// TestJudge checks the weaknesses of every mode of a file, with each owner, kind and directory.
func TestJudge(t *testing.T) {
	t.Parallel()
	const me = 1000
	for perm := range fs.FileMode(0o1000) {
		for _, uid := range []uint32{me, 0, 4242} {
			for _, kind := range []Kind{Power, Secret} {
				for _, private := range []bool{false, true} {
					for _, dir := range []fs.FileMode{0, 0o777 | fs.ModeDir} {
						for _, typ := range []fs.FileMode{0, fs.ModeDir} {
							s := subject{mode: perm | typ, dirMode: dir, uid: uid, me: me, private: private}
							list := judge("p", s, kind)
							has := func(why string) bool {
								return slices.ContainsFunc(list, func(w weakness) bool { return strings.HasPrefix(w.why, why) })
							}
							secret := kind == Secret && typ == 0
							name := fmt.Sprintf("%v, owner %d, kind %d, private group %v, directory %v", s.mode, uid, kind, private, dir)
							for why, want := range map[string]bool{
								"can be changed by every user":  perm&0o002 != 0,
								"can be changed by its group":   perm&0o022 == 0o020 && !private,
								"belongs to another user":       uid == 4242,
								"can be replaced by every user": dir != 0,
								"can be read by every user":     secret && perm&0o004 != 0,
								"can be read by its group":      secret && perm&0o044 == 0o040 && uid == me && !private,
							} {
								if has(why) != want {
									t.Errorf("%s: %q is %v, want %v", name, why, !want, want)
								}
							}
							refused := slices.ContainsFunc(list, func(w weakness) bool { return w.refuse })
							if want := typ == 0 && perm&0o002 != 0; refused != want {
								t.Errorf("%s: it is refused: %v, want %v", name, refused, want)
							}
						}
					}
				}
			}
		}
	}
}

// TestPlanted checks which files count as planted by another user.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dir  fs.FileMode
		uid  uint32
		want bool
	}{
		{0, 4242, false}, {0o777, 4242, false}, {0o777 | fs.ModeSticky, 4242, true}, {0o777 | fs.ModeSticky, 0, false}, {0o777 | fs.ModeSticky, 1000, false},
	} {
		s := subject{mode: 0o600, dirMode: c.dir, uid: c.uid, me: 1000}
		if got := s.planted(); got != c.want {
			t.Errorf("directory %v, owner %d: planted is %v", c.dir, c.uid, got)
		}
	}
}
