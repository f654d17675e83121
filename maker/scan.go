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
)

// Links says what becomes of symbolic links in a tree. Whatever it says, nothing
// outside the tree is followed or looked at.
type Links uint8

const (
	// LinksKeep writes a link to something inside the tree as a link (BEP 47,
	// attribute l).
	LinksKeep Links = iota
	// LinksFollow puts what a link leads to in its place, as mktorrent and
	// transmission-create do, but inside the tree only.
	LinksFollow
	// LinksSkip leaves links out.
	LinksSkip
)

// order is the order of the files.
type order uint8

const (
	// orderTree compares name by name, as the file tree of BEP 52 lies. v2 and
	// hybrid torrents have no other.
	orderTree order = iota
	// orderPath compares whole paths byte by byte, as mktorrent does: "a-b" comes
	// before "a/z".
	orderPath
	// orderFold is orderPath without regard to the case of ASCII letters, as
	// transmission-create does.
	orderFold
)

// Skipped is something that was found and left out of the torrent.
type Skipped struct {
	Path   string // slash-separated, below the root
	Reason SkipReason
}

// SkipReason says why something was left out.
type SkipReason string

const (
	SkipHidden    SkipReason = "hidden or junk"
	SkipSpecial   SkipReason = "not a regular file"
	SkipLink      SkipReason = "symbolic link"
	SkipOutside   SkipReason = "symbolic link that leads out of the tree"
	SkipBroken    SkipReason = "symbolic link to nothing"
	SkipDangling  SkipReason = "symbolic link to something that is not in the torrent"
	SkipLoop      SkipReason = "symbolic link to a directory that it lies in"
	SkipEmptyTree SkipReason = "empty directory"
)

// maxDepth is the deepest directory that is entered, as readers bound it.
const maxDepth = 100

// entry is one thing of the torrent.
type entry struct {
	rel  string // slash-separated, below the root; "" for the root itself
	stat fileStat
	exec bool
	link string // target below the root when it is a symbolic link, else ""
}

// tree is what a scan found, in the torrent's order.
type tree struct {
	at      place  // of the root: a file or a directory
	name    string // its base name
	single  bool
	entries []entry
	size    int64 // sum of the entries' sizes
}

// scanOptions select and order what a scan returns.
type scanOptions struct {
	include, exclude globs
	files            []string // only these, when not empty
	hidden           bool
	noEmpty          bool // leave out empty files
	links            Links
	linkExec         bool // what a link leads to is a program
	order            order
	skipped          func(Skipped)
	root             *os.Root // that the path is in, or nil
}

// ErrEmpty is the error for a path with no byte of data below it: no torrent can
// be made of that.
var ErrEmpty = errors.New("there is no data to make a torrent of")

// scan lists what lies at path. A link there is followed: the user named it, or it
// stays inside the root.
func scan(ctx context.Context, path string, o scanOptions) (*tree, error) {
	at, err := placeOf(path, o.root)
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
		t.single = true
		t.entries = []entry{{stat: statOf(fi), exec: executable(fi)}}
		t.size = fi.Size()
	case fi.IsDir():
		if err := t.walk(ctx, o); err != nil {
			return nil, err
		}
	default:
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("neither a file nor a directory")}
	}
	if t.size == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	return t, nil
}

// walk fills t with what lies in the directory.
func (t *tree) walk(ctx context.Context, o scanOptions) error {
	root, err := t.at.openDir()
	if err != nil {
		return err
	}
	defer root.Close()
	if o.skipped == nil {
		o.skipped = func(Skipped) {}
	}
	w := &walker{ctx: ctx, root: root, o: o, wanted: newWanted(o.files), ahead: map[string]chan listing{}}
	defer w.reading.Wait()
	if err := w.dir("", nil); err != nil {
		return err
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

// walker is one walk over a directory.
type walker struct {
	ctx     context.Context
	root    *os.Root
	o       scanOptions
	wanted  *wanted
	entries []entry
	links   int

	ahead   map[string]chan listing // directories that are read already, by path
	reading sync.WaitGroup
}

// dir adds what lies in the directory rel; above are the directories that it
// lies in, to notice a link that leads back to one of them.
func (w *walker) dir(rel string, above []os.FileInfo) error {
	if len(above) >= maxDepth {
		return &NameError{rel, fmt.Sprintf("more than %d directories deep", maxDepth)}
	}
	l := w.list(rel)
	if l.err != nil {
		return l.err
	}
	above = append(above, l.self)
	if len(l.names) == 0 && rel != "" {
		w.o.skipped(Skipped{rel, SkipEmptyTree})
	}
	for i, d := range l.names {
		if err := w.ctx.Err(); err != nil {
			return context.Cause(w.ctx)
		}
		if i == 0 || d.IsDir() {
			w.begin(rel, l.names[i:])
		}
		if err := w.entry(joinRel(rel, d.Name()), d, above); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether the person asked for what is called rel.
func (w *walker) wants(rel string, d fs.DirEntry) bool {
	return !w.o.exclude.match(rel) && w.wanted.match(rel, d.IsDir())
}

// entry adds one name of a directory, and what lies below it.
func (w *walker) entry(rel string, d fs.DirEntry, above []os.FileInfo) error {
	if !w.wants(rel, d) {
		return nil
	}
	if !w.o.hidden && Hidden(d) {
		w.o.skipped(Skipped{rel, SkipHidden})
		return nil
	}
	switch {
	case d.IsDir():
		return w.dir(rel, above)
	case d.Type()&fs.ModeSymlink != 0:
		return w.link(rel, above)
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
	if len(w.o.include) > 0 && !w.o.include.match(rel) || w.o.noEmpty && fi.Size() == 0 {
		return nil
	}
	if err := checkName(rel, rel); err != nil {
		return err
	}
	w.entries = append(w.entries, entry{rel: rel, stat: statOf(fi), exec: exec})
	return nil
}

// link adds a symbolic link, or what it leads to.
func (w *walker) link(rel string, above []os.FileInfo) error {
	if w.o.links == LinksSkip {
		w.o.skipped(Skipped{rel, SkipLink})
		return nil
	}
	target, fi, reason := w.resolve(rel)
	if reason != "" {
		w.o.skipped(Skipped{rel, reason})
		return nil
	}
	if fi.IsDir() && slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, fi) }) {
		w.o.skipped(Skipped{rel, SkipLoop})
		return nil
	}
	if w.o.links == LinksFollow {
		switch {
		case fi.IsDir():
			return w.dir(rel, above)
		case fi.Mode().IsRegular():
			return w.file(rel, fi, executable(fi) || w.o.linkExec)
		}
		w.o.skipped(Skipped{rel, SkipSpecial})
		return nil
	}
	if len(w.o.include) > 0 && !w.o.include.match(rel) {
		return nil
	}
	if err := checkName(rel, rel); err != nil {
		return err
	}
	w.links++
	w.entries = append(w.entries, entry{rel: rel, link: target})
	return nil
}

// resolve returns what the link rel leads to, as a path below the root, or why
// it cannot be used. os.Root refuses to leave the tree on the way.
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
		return w.lead(rel)
	}
	dir, _ := splitRel(rel)
	target = path.Join(dir, to)
	if target == ".." || strings.HasPrefix(target, "../") {
		return "", nil, SkipOutside
	}
	fi, err = w.root.Stat(rel)
	if err != nil {
		if _, lerr := w.root.Lstat(target); lerr == nil && !errors.Is(err, syscall.ELOOP) {
			return "", nil, SkipOutside // through another link
		}
		return "", nil, SkipDangling
	}
	// A path with .. through another link means something else when it is
	// written without it.
	if direct, err := w.root.Stat(target); err != nil || !os.SameFile(direct, fi) {
		return "", nil, SkipOutside
	}
	return target, fi, ""
}

// lead is resolve for what is followed: rel itself may lie behind another link,
// so what it says is no path that could be written down.
func (w *walker) lead(rel string) (target string, fi os.FileInfo, reason SkipReason) {
	fi, err := w.root.Stat(rel)
	switch {
	case err == nil:
		return "", fi, ""
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
		return "", nil, SkipDangling
	}
	return "", nil, SkipOutside
}

// keepLinks returns the entries without the links to what was left out.
func (w *walker) keepLinks() []entry {
	for changed := w.links > 0; changed; {
		changed = false
		there := map[string]bool{}
		for _, e := range w.entries {
			for p := e.rel; p != "" && !there[p]; p, _ = splitRel(p) {
				there[p] = true
			}
		}
		// A link to a link to what was left out needs another round.
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

func sortEntries(list []entry, order order) {
	switch order {
	case orderPath:
		slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.rel, b.rel) })
	case orderFold:
		slices.SortStableFunc(list, func(a, b entry) int {
			if c := compareFold(a.rel, b.rel); c != 0 {
				return c
			}
			return strings.Compare(a.rel, b.rel)
		})
	default:
		// The walk went through sorted directories.
	}
}

// compareFold compares without regard to the case of ASCII letters. Bytes are
// signed, for that is how transmission-create has them: those of é come first.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(int8(x)) - int(int8(y))
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
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

func executable(fi os.FileInfo) bool { return fi.Mode().Perm()&0o100 != 0 }
