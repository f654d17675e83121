package maker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"spate/internal/folder"
	"spate/internal/folder/foldertest"
	"spate/metainfo"
)

// TestRoot: with a root, a path may be a link inside it, and nothing outside is
// hashed or checked. Without one, the user named the path.
func TestRoot(t *testing.T) {
	t.Parallel()
	const text = "text of the folder"
	torrent := func(text string) *metainfo.MetaInfo {
		dir := t.TempDir()
		write(t, dir, map[string][]byte{"x": []byte(text)})
		return mustMake(t, filepath.Join(dir, "x"), Options{NoDate: true})
	}
	good, secret := torrent(text), torrent(foldertest.Secret)
	for _, follow := range []bool{false, true} {
		for _, trap := range foldertest.Traps(text) {
			want := trap.Strict
			if follow {
				want = trap.Follow
			}
			t.Run(trap.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				must(t, os.Mkdir(dir, 0o755))
				path := filepath.Join(dir, "x")
				trap.Put(t, path)
				root, err := folder.OpenRoot(dir)
				must(t, err)
				defer root.Close()
				o, v := Options{NoDate: true}, VerifyOptions{}
				if !follow {
					path, o.Root, v.Root = "x", root, root
				}
				m, err := Make(context.Background(), path, o)
				got := ""
				switch {
				case err != nil:
				case m.Hash() == good.Hash():
					got = text
				case m.Hash() == secret.Hash():
					got = foldertest.Secret
				}
				is := foldertest.OutcomeOf(got, err, text)
				if err != nil && want == foldertest.Special && is == foldertest.Other {
					is = want // it has other words for what is neither a file nor a directory
				}
				if trap.Name == "link to a directory out" && follow {
					want = foldertest.Other // that directory is made a torrent of
				}
				if is != want {
					t.Errorf("Make: %s, want %s: %v", is, want, err)
				}
				for m, right := range map[*metainfo.MetaInfo]foldertest.Outcome{good: foldertest.Read, secret: foldertest.Leaked} {
					r, err := Verify(context.Background(), m, path, v)
					if whole := err == nil && r.Whole(); whole != (want == right) {
						t.Errorf("Verify: %v, for %s want %s: %v", whole, right, want, err)
					}
				}
			})
		}
	}
}

// TestRootTree: a directory in a root is its own bound: links in it that lead out
// of it are left out, and a trap in its place is not entered.
func TestRootTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"in/real/tree/a": []byte("a"), "in/beside": []byte("b"), "out/a": []byte("secret")})
	for link, to := range map[string]string{
		"in/link": "real/tree", "in/leads": "../out", "in/through": "leads/a", "in/real/tree/up": "../../beside", "in/real/tree/out": "../../../out/a",
	} {
		must(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	root, err := folder.OpenRoot(filepath.Join(dir, "in"))
	must(t, err)
	defer root.Close()
	for _, links := range []Links{LinksKeep, LinksFollow, LinksSkip} {
		for _, name := range []string{"link", "real/tree", filepath.FromSlash("real/../link")} {
			m, err := Make(context.Background(), name, Options{Root: root, Links: links})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := paths(m); len(got) != 1 || got[0] != "a" || m.Info.Name != filepath.Base(name) {
				t.Errorf("%s, links %d: %q of %q", name, links, got, m.Info.Name)
			}
			r, err := Verify(context.Background(), m, name, VerifyOptions{Root: root})
			if err != nil || !r.Whole() {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
		for _, name := range []string{"leads", "through", "..", "../out", filepath.Join(dir, "out"), "real/../../out/a"} {
			m, err := Make(context.Background(), name, Options{Root: root, Links: links})
			if err == nil {
				t.Errorf("%s, links %d: made %q", name, links, paths(m))
			}
			if _, err := Verify(context.Background(), mustMake(t, filepath.Join(dir, "out"), Options{}), name, VerifyOptions{Root: root}); err == nil && name != ".." {
				t.Errorf("%s is checked", name)
			}
		}
	}
}

// TestRootSwapped: what is put in the place of a file between the scan and the
// hashing is noticed, and is not read if it lies outside.
func TestRootSwapped(t *testing.T) {
	t.Parallel()
	const text = "text of the folder"
	for _, trap := range foldertest.Traps(text) {
		for _, tree := range []bool{false, true} {
			t.Run(trap.Name+map[bool]string{true: " in a tree"}[tree], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				what, name := "x", "x"
				if tree {
					what, name = "t", filepath.Join("t", "x")
				}
				write(t, dir, map[string][]byte{filepath.ToSlash(name): []byte(text)})
				root, err := folder.OpenRoot(dir)
				must(t, err)
				defer root.Close()
				o := Options{}
				must(t, o.check())
				how, err := o.style()
				must(t, err)
				tr, err := scan(context.Background(), what, scanOptions{root: root})
				must(t, err)
				b, err := newBuild(tr, &o, how)
				must(t, err)
				must(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, "away")))
				trap.Put(t, filepath.Join(dir, name))
				if err := b.hash(context.Background(), tr); err == nil {
					t.Error("the change was not noticed")
				} else if trap.Strict == foldertest.Outside && !folder.Escapes(err) {
					t.Errorf("a link that leads out: %v", err)
				}
			})
		}
	}
}

// TestRootGone: a root that is closed is an error, not another way to the data.
func TestRootGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"x": []byte("x")})
	root, err := folder.OpenRoot(dir)
	must(t, err)
	root.Close()
	if _, err := Make(context.Background(), "x", Options{Root: root}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
