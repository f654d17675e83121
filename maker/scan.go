package maker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"spate/internal/units"
	"spate/metainfo"
)

// Links selects what to do with symbolic links. Links that lead out of the tree are
// never followed.
type Links uint8

const (
	// LinksKeep stores a link to an entry of the tree as a symbolic link (BEP 47).
	LinksKeep Links = iota
	// LinksFollow stores the target instead of the link, like mktorrent and
	// transmission-create, but only if the target is inside the tree.
	LinksFollow
	// LinksSkip skips symbolic links.
	LinksSkip
)

// Skipped is an entry that is not included in the torrent.
type Skipped struct {
	Path   string // below the root, separated by slashes
	Reason SkipReason
}

// SkipReason is the reason why an entry is not included.
type SkipReason string

const (
	SkipHidden    SkipReason = "hidden or junk"
	SkipSpecial   SkipReason = "not a regular file"
	SkipLink      SkipReason = "symbolic link"
	SkipOutside   SkipReason = "symbolic link that leads out of the tree"
	SkipBroken    SkipReason = "broken symbolic link"
	SkipDangling  SkipReason = "symbolic link whose target is not in the torrent"
	SkipLoop      SkipReason = "symbolic link to a directory that contains it"
	SkipEmptyTree SkipReason = "empty directory"
)

// maxDepth is the maximum depth of directories, which is also the limit of package
// metainfo.
const maxDepth = 100

// entry is a file or symbolic link of the torrent.
type entry struct {
	rel  string // below the root, separated by slashes; "" for a single file
	stat fileStat
	exec bool
	// public means that the mode of the file lets everybody read it.
	public bool
	link   string // target of a symbolic link below the root; "" for a file
}

// tree is the result of a scan, in the order of the torrent.
type tree struct {
	at      location // location of the root, which is a file or a directory
	name    string   // its last element
	single  bool
	entries []entry
	dirs    []entry // the directories that were read
	size    int64   // total size of the entries in bytes
}

// scanOptions selects and orders the files of a scan.
type scanOptions struct {
	include, exclude counted
	unmatched        func(Unmatched) // may be nil
	files            []string        // only these paths, unless empty
	hidden           bool
	noEmpty          bool // skip empty files
	links            Links
	linkExec         bool // treat the target of a symbolic link as executable
	order            order
	skipped          func(Skipped)
	format           metainfo.Format
	root             *os.Root // directory that contains the path, or nil
	written          []os.FileInfo
}

// ErrEmpty is returned if there is no byte of data at the path. A torrent needs at
// least one.
var ErrEmpty = errors.New("there is no data to make a torrent of")

// scan lists the files at path. It follows a symbolic link at path itself, because the user
// chose the path or the link stays inside the root.
func scan(ctx context.Context, path string, o scanOptions) (*tree, error) {
	at, err := locationOf(path, o.root)
	if err != nil {
		return nil, err
	}
	fi, err := at.stat()
	if err != nil {
		return nil, err
	}
	t := &tree{at: at, name: filepath.Base(at.path)}
	switch {
	case fi.Mode().IsRegular():
		if err := t.checkWritten(o.written, "", fi); err != nil {
			return nil, err
		}
		t.single = true
		t.entries = []entry{{stat: statOf(fi), exec: executable(fi), public: public(fi)}}
		t.size = fi.Size()
	case fi.IsDir():
		if err := t.walk(ctx, o); err != nil {
			return nil, err
		}
	default:
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a file or directory")}
	}
	o.reportUnmatched(o.unmatched)
	if t.size == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	return t, nil
}

// walk adds the entries of the directory.
func (t *tree) walk(ctx context.Context, o scanOptions) error {
	root, err := t.at.openDir()
	if err != nil {
		return err
	}
	defer root.Close()
	if o.skipped == nil {
		o.skipped = func(Skipped) {}
	}
	w := &walker{ctx: ctx, tree: t, root: root, o: o, wanted: newWanted(o.files), ahead: map[string]chan listing{}}
	defer w.reading.Wait()
	if err := w.dir("", nil); err != nil {
		return err
	}
	if o.unmatched != nil {
		w.matchPruned()
	}
	if err := w.wanted.missing(t.at.path); err != nil {
		return err
	}
	t.entries = w.keepLinks()
	if err := checkCollisions(t.entries); err != nil {
		return err
	}
	sortEntries(t.entries, o.order)
	for i := range t.entries {
		t.size += t.entries[i].stat.size
	}
	return nil
}

// walker is the state of a walk over a directory.
type walker struct {
	ctx     context.Context
	tree    *tree
	root    *os.Root
	o       scanOptions
	wanted  *wanted
	entries []entry
	links   int
	pruned  []string // directories that were left out, with everything in them

	ahead   map[string]chan listing // directories that are being read ahead, by path
	reading sync.WaitGroup
}

// dir adds the entries of the directory rel. ancestors are the directories that contain
// it; they are needed to detect links that lead back to one of them.
func (w *walker) dir(rel string, ancestors []os.FileInfo) error {
	if len(ancestors) >= maxDepth {
		return &NameError{rel, fmt.Sprintf("nested in more than %s", units.Plural(maxDepth, "directory"))}
	}
	l := w.list(rel)
	if l.err != nil {
		return l.err
	}
	if err := w.tree.checkWritten(w.o.written, rel, l.self); err != nil {
		return err
	}
	w.tree.dirs = append(w.tree.dirs, entry{rel: rel, stat: statOf(l.self)})
	ancestors = append(ancestors, l.self)
	if len(l.names) == 0 && rel != "" {
		w.o.skipped(Skipped{rel, SkipEmptyTree})
	}
	for i, d := range l.names {
		if err := w.ctx.Err(); err != nil {
			return context.Cause(w.ctx)
		}
		if i == 0 || d.IsDir() {
			w.startReadAhead(rel, l.names[i:])
		}
		if err := w.entry(joinRel(rel, d.Name()), d, ancestors); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether rel is selected by the options.
func (w *walker) wants(rel string, d fs.DirEntry) bool {
	return !w.o.exclude.match(rel) && w.wanted.match(rel, d.IsDir())
}

// entry adds one directory entry and everything in it.
func (w *walker) entry(rel string, d fs.DirEntry, ancestors []os.FileInfo) error {
	hidden := !w.o.hidden && Hidden(d)
	if wants := w.wants(rel, d); !wants || hidden {
		if wants {
			w.o.skipped(Skipped{rel, SkipHidden})
		}
		if d.IsDir() {
			w.pruned = append(w.pruned, rel)
		}
		return nil
	}
	switch {
	case d.IsDir():
		return w.dir(rel, ancestors)
	case d.Type()&fs.ModeSymlink != 0:
		return w.link(rel, ancestors)
	case !d.Type().IsRegular():
		w.o.skipped(Skipped{rel, SkipSpecial})
		return nil
	}
	fi, err := d.Info()
	if err != nil {
		return err
	}
	return w.file(rel, fi, executable(fi))
}

// file adds a regular file.
func (w *walker) file(rel string, fi os.FileInfo, exec bool) error {
	if len(w.o.include.globs) > 0 && !w.o.include.match(rel) || w.o.noEmpty && fi.Size() == 0 {
		return nil
	}
	if err := checkName(rel, w.o.format); err != nil {
		return err
	}
	if err := w.tree.checkWritten(w.o.written, rel, fi); err != nil {
		return err
	}
	w.entries = append(w.entries, entry{rel: rel, stat: statOf(fi), exec: exec, public: public(fi)})
	return nil
}

// link adds a symbolic link or its target.
func (w *walker) link(rel string, ancestors []os.FileInfo) error {
	if w.o.links == LinksSkip {
		w.o.skipped(Skipped{rel, SkipLink})
		return nil
	}
	target, fi, reason := w.resolve(rel)
	if reason != "" {
		w.o.skipped(Skipped{rel, reason})
		return nil
	}
	if fi.IsDir() && slices.ContainsFunc(ancestors, func(a os.FileInfo) bool { return os.SameFile(a, fi) }) {
		w.o.skipped(Skipped{rel, SkipLoop})
		return nil
	}
	if w.o.links == LinksFollow {
		switch {
		case fi.IsDir():
			return w.dir(rel, ancestors)
		case fi.Mode().IsRegular():
			return w.file(rel, fi, executable(fi) || w.o.linkExec)
		}
		w.o.skipped(Skipped{rel, SkipSpecial})
		return nil
	}
	if len(w.o.include.globs) > 0 && !w.o.include.match(rel) {
		return nil
	}
	if err := checkName(rel, w.o.format); err != nil {
		return err
	}
	w.links++
	w.entries = append(w.entries, entry{rel: rel, link: target})
	return nil
}

// resolve returns the target of the link rel as a path below the root, or the reason why
// the link cannot be used. Because it uses os.Root, it never opens anything outside the
// tree.
func (w *walker) resolve(rel string) (target string, fi os.FileInfo, reason SkipReason) {
	to, err := w.root.Readlink(rel)
	if err != nil {
		return "", nil, SkipDangling
	}
	to = filepath.ToSlash(to)
	if filepath.IsAbs(to) || path.IsAbs(to) {
		return "", nil, SkipOutside
	}
	if w.o.links == LinksFollow {
		return w.followLink(rel)
	}
	dir, _ := splitRel(rel)
	target = path.Join(dir, to)
	if target == ".." || strings.HasPrefix(target, "../") {
		return "", nil, SkipOutside
	}
	fi, err = w.root.Stat(rel)
	if err != nil {
		if _, lerr := w.root.Lstat(target); lerr == nil && !errors.Is(err, syscall.ELOOP) {
			return "", nil, SkipOutside // the link leads out through another link
		}
		return "", nil, SkipDangling
	}
	// If the path contains .. after another link, its cleaned form leads elsewhere.
	if direct, err := w.root.Stat(target); err != nil || !os.SameFile(direct, fi) {
		return "", nil, SkipOutside
	}
	return target, fi, ""
}

// followLink is like resolve for LinksFollow. It returns no path, because rel itself may be
// reached through another link.
func (w *walker) followLink(rel string) (target string, fi os.FileInfo, reason SkipReason) {
	fi, err := w.root.Stat(rel)
	switch {
	case err == nil:
		return "", fi, ""
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
		return "", nil, SkipDangling
	}
	return "", nil, SkipOutside
}

// keepLinks removes the links whose target is not in the torrent.
func (w *walker) keepLinks() []entry {
	for changed := w.links > 0; changed; {
		changed = false
		there := map[string]bool{}
		for _, e := range w.entries {
			for p := e.rel; p != "" && !there[p]; p, _ = splitRel(p) {
				there[p] = true
			}
		}
		// Removing a link may leave another link without a target, so repeat.
		w.entries = slices.DeleteFunc(w.entries, func(e entry) bool {
			if e.link == "" || there[e.link] {
				return false
			}
			w.o.skipped(Skipped{e.rel, SkipDangling})
			changed = true
			return true
		})
	}
	return w.entries
}

func relOrDot(rel string) string {
	if rel == "" {
		return "."
	}
	return filepath.FromSlash(rel)
}

func joinRel(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// public reports whether everybody may read a file.
func public(fi os.FileInfo) bool { return fi.Mode().Perm()&0o444 == 0o444 }

func executable(fi os.FileInfo) bool { return fi.Mode().Perm()&0o100 != 0 }
