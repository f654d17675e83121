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

// TestRootConfinesPaths checks that Make and Verify with a root follow links inside
// the root and open no files outside it. Without a root they follow all links,
// because the user chose the path.
func TestRootConfinesPaths(t *testing.T) {
	t.Parallel()
	const text = "text of the folder"
	torrent := func(text string) *metainfo.MetaInfo {
		dir := t.TempDir()
		write(t, dir, map[string][]byte{"x": []byte(text)})
		return mustMake(t, filepath.Join(dir, "x"), Options{NoDate: true})
	}
	good, secret := torrent(text), torrent(foldertest.Secret)
	for _, follow := range []bool{false, true} {
		for _, entry := range foldertest.Entries(text) {
			want := entry.Strict
			if follow {
				want = entry.Follow
			}
			t.Run(entry.Name+map[bool]string{true: " followed"}[follow], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "in")
				must(t, os.Mkdir(dir, 0o755))
				path := filepath.Join(dir, "x")
				entry.Put(t, path)
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
					is = want // Make has its own error for a device, pipe or socket
				}
				if entry.Name == "link to a directory out" && follow {
					want = foldertest.Other // Make makes a torrent of the directory
				}
				if is != want {
					t.Errorf("the outcome of Make is %q, want %q: %v", is, want, err)
				}
				for m, right := range map[*metainfo.MetaInfo]foldertest.Outcome{good: foldertest.Read, secret: foldertest.Leaked} {
					r, err := Verify(context.Background(), m, path, v)
					if whole := err == nil && r.Whole(); whole != (want == right) {
						t.Errorf("Verify of the torrent of outcome %q reports complete: %v, but the outcome should be %q: %v", right, whole, want, err)
					}
				}
			})
		}
	}
}

// TestRootConfinesDirectories checks that a torrent of a directory below a root contains no
// data outside that directory, and that Make does not follow links that lead out of the
// root.
func TestRootConfinesDirectories(t *testing.T) {
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
				t.Fatalf("Make of %s: %v", name, err)
			}
			if got := paths(m); len(got) != 1 || got[0] != "a" || m.Info.Name != filepath.Base(name) {
				t.Errorf("%s with Links %d: the torrent %q has the files %q, want only a", name, links, m.Info.Name, got)
			}
			r, err := Verify(context.Background(), m, name, VerifyOptions{Root: root})
			if err != nil || !r.Whole() {
				t.Errorf("Verify of %s reports %+v, %v, want complete data", name, r, err)
			}
		}
		for _, name := range []string{"leads", "through", "..", "../out", filepath.Join(dir, "out"), "real/../../out/a"} {
			m, err := Make(context.Background(), name, Options{Root: root, Links: links})
			if err == nil {
				t.Errorf("%s with Links %d: Make made a torrent of %q, want an error", name, links, paths(m))
			}
			if _, err := Verify(context.Background(), mustMake(t, filepath.Join(dir, "out"), Options{}), name, VerifyOptions{Root: root}); err == nil && name != ".." {
				t.Errorf("Verify checked %s outside of the root", name)
			}
		}
	}
}

// TestReplacedFileIsDetected checks that Make returns an error if a file is replaced
// between the scan and the hashing, and does not follow a link out of the root.
func TestReplacedFileIsDetected(t *testing.T) {
	t.Parallel()
	const text = "text of the folder"
	for _, entry := range foldertest.Entries(text) {
		for _, tree := range []bool{false, true} {
			t.Run(entry.Name+map[bool]string{true: " in a tree"}[tree], func(t *testing.T) {
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
				entry.Put(t, filepath.Join(dir, name))
				if err := b.hash(context.Background(), tr); err == nil {
					t.Error("the replaced file was hashed")
				} else if entry.Strict == foldertest.Outside && !folder.Escapes(err) {
					t.Errorf("the error for a link that leads out is %v", err)
				}
			})
		}
	}
}

// TestClosedRootIsAnError checks that Make does not open the path without its root
// if the root is closed.
func TestClosedRootIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"x": []byte("x")})
	root, err := folder.OpenRoot(dir)
	must(t, err)
	root.Close()
	if _, err := Make(context.Background(), "x", Options{Root: root}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Make with a closed root returned %v, want os.ErrClosed", err)
	}
}
