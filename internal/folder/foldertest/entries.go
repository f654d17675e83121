// Package foldertest creates entries in a folder by which another user could make a program
// read a file outside the folder or block forever.
package foldertest

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"spate/internal/folder"
)

// Secret is the content of the files outside the folder.
const Secret = "secret of the machine"

// Outcome is the result of an attempt to read an [Entry].
type Outcome string

// The outcomes.
const (
	Read    Outcome = "read"     // the text of the file inside the folder
	Leaked  Outcome = "leaked"   // the text of Secret; expected only if links are followed
	Outside Outcome = "outside"  // a [folder.LinkError]
	Special Outcome = "special"  // a [folder.TypeError]
	Missing Outcome = "missing"  // fs.ErrNotExist
	Loop    Outcome = "loop"     // ELOOP
	Denied  Outcome = "denied"   // fs.ErrPermission
	Large   Outcome = "large"    // a [folder.SizeError]
	Other   Outcome = "an error" // any other error
)

// Entry is what the file system has at a path where a program expects a file.
type Entry struct {
	Name string
	// Put creates the entry. Other files that it needs get hidden names beside path.
	Put func(t testing.TB, path string)
	// Strict is the expected outcome if links that lead out are refused, and Follow the
	// outcome if all links are followed.
	Strict, Follow Outcome
}

// Entries returns all kinds of entries for a path where a program expects a file that contains
// text. Each can be put at several paths.
func Entries(text string) []Entry {
	return slices.Concat([]Entry{
		{"a file", func(t testing.TB, path string) { write(t, path, text) }, Read, Read},
		{"nothing", func(testing.TB, string) {}, Missing, Missing},
		{"directory", func(t testing.TB, path string) { must(t, os.Mkdir(path, 0o755)) }, Special, Special},
		{"pipe", mkfifo, Special, Special},
		{"socket", listen, Special, Special},
		{"unreadable", func(t testing.TB, path string) {
			if os.Getuid() <= 0 {
				t.Skip("root can read all files")
			}
			write(t, path, text)
			must(t, os.Chmod(path, 0))
		}, Denied, Denied},
	}, linksInside(text), linksOut(), badLinks())
}

// linksInside returns links to a file in the folder.
func linksInside(text string) []Entry {
	real := func(t testing.TB, path string) string {
		write(t, hidden(path, "real"), text)
		return filepath.Base(hidden(path, "real"))
	}
	return []Entry{
		{"link inside", func(t testing.TB, path string) { symlink(t, real(t, path), path) }, Read, Read},
		{"link to a link inside", func(t testing.TB, path string) {
			symlink(t, real(t, path), hidden(path, "hop"))
			symlink(t, filepath.Base(hidden(path, "hop")), path)
		}, Read, Read},
		{"link through a directory inside", func(t testing.TB, path string) {
			write(t, filepath.Join(hidden(path, "dir"), "sub", "real"), text)
			symlink(t, filepath.Join(filepath.Base(hidden(path, "dir")), "sub")+"/../sub/real", path)
		}, Read, Read},
		{"link inside, by the parent", func(t testing.TB, path string) {
			symlink(t, filepath.Join("..", filepath.Base(filepath.Dir(path)), real(t, path)), path)
		}, Outside, Read},
		{"absolute link inside", func(t testing.TB, path string) { symlink(t, filepath.Join(filepath.Dir(path), real(t, path)), path) }, Outside, Read},
		{"link out and back in", func(t testing.TB, path string) {
			out := filepath.Dir(secret(t, path))
			symlink(t, filepath.Dir(path), filepath.Join(out, "back"))
			symlink(t, filepath.Join(relative(t, path, out), "back", real(t, path)), path)
		}, Outside, Read},
	}
}

// linksOut returns links to a file outside the folder.
func linksOut() []Entry {
	return []Entry{
		{"absolute link out", func(t testing.TB, path string) { symlink(t, secret(t, path), path) }, Outside, Leaked},
		{"relative link out", func(t testing.TB, path string) { symlink(t, relative(t, path, secret(t, path)), path) }, Outside, Leaked},
		{"link to a link out", func(t testing.TB, path string) {
			symlink(t, relative(t, path, secret(t, path)), hidden(path, "hop"))
			symlink(t, filepath.Base(hidden(path, "hop")), path)
		}, Outside, Leaked},
		{"link through a link to a directory out", func(t testing.TB, path string) {
			symlink(t, relative(t, path, filepath.Dir(secret(t, path))), hidden(path, "via"))
			symlink(t, filepath.Join(filepath.Base(hidden(path, "via")), "secret"), path)
		}, Outside, Leaked},
	}
}

// badLinks returns links whose target is missing or is not a regular file.
func badLinks() []Entry {
	to := func(target string) func(testing.TB, string) {
		return func(t testing.TB, path string) { symlink(t, target, path) }
	}
	return []Entry{
		{"link to nothing", to("nothing"), Missing, Missing},
		{"link out to nothing", func(t testing.TB, path string) { symlink(t, secret(t, path)+"-not", path) }, Outside, Missing},
		{"link to itself", func(t testing.TB, path string) { symlink(t, filepath.Base(path), path) }, Loop, Loop},
		{"circle of links", func(t testing.TB, path string) {
			symlink(t, filepath.Base(path), hidden(path, "hop"))
			symlink(t, filepath.Base(hidden(path, "hop")), path)
		}, Loop, Loop},
		{"link to a directory out", func(t testing.TB, path string) { symlink(t, filepath.Dir(secret(t, path)), path) }, Outside, Special},
		{"link to an endless device", to("/dev/zero"), Outside, Special},
		{"link to a terminal", to("/dev/tty"), Outside, Special},
		{"link to a pipe inside", func(t testing.TB, path string) {
			mkfifo(t, hidden(path, "pipe"))
			symlink(t, filepath.Base(hidden(path, "pipe")), path)
		}, Special, Special},
		{"link to a pipe outside", func(t testing.TB, path string) {
			pipe := filepath.Join(filepath.Dir(secret(t, path)), "pipe")
			mkfifo(t, pipe)
			symlink(t, pipe, path)
		}, Outside, Special},
	}
}

// OutcomeOf returns the outcome of reading a file that should contain text. got and err are
// the results of the read.
func OutcomeOf(got string, err error, text string) Outcome {
	var link *folder.LinkError
	var kind *folder.TypeError
	var size *folder.SizeError
	switch {
	case err == nil && got == text:
		return Read
	case err == nil && got == Secret:
		return Leaked
	case errors.As(err, &link) && errors.Is(err, folder.ErrOutside):
		return Outside
	case errors.As(err, &kind):
		return Special
	case errors.As(err, &size):
		return Large
	case errors.Is(err, fs.ErrNotExist):
		return Missing
	case errors.Is(err, fs.ErrPermission):
		return Denied
	case errors.Is(err, syscall.ELOOP):
		return Loop
	}
	return Other
}

// secret creates a file outside the folder of path and returns its path.
func secret(t testing.TB, path string) string {
	t.Helper()
	at := filepath.Join(filepath.Dir(filepath.Dir(path)), "outside", filepath.Base(path), "secret")
	write(t, at, Secret)
	return at
}

// hidden returns a path beside path that watchers of the folder ignore.
func hidden(path, what string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+what)
}

// relative returns target relative to the folder of path.
func relative(t testing.TB, path, target string) string {
	t.Helper()
	rel, err := filepath.Rel(filepath.Dir(path), target)
	must(t, err)
	return rel
}

// listen creates a socket at path.
func listen(t testing.TB, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err) // the path is too long, or the system has no unix sockets
	}
	t.Cleanup(func() { l.Close() })
}

func symlink(t testing.TB, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Skip(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
