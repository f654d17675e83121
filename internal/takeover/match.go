package takeover

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"spate/bitfield"
	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
)

// Match is what [Kept.Match] finds of the data of a torrent.
type Match struct {
	// Record says that the pieces are complete that the other program has verified and whose files have
	// not changed since. A torrent that starts with it hashes only the data of the other files.
	Record *storage.Record

	Name    string // of the data in its directory
	Total   int64  // bytes of the wanted files
	Done    int64  // bytes of them in complete pieces of Record
	Unsure  int64  // bytes of existing files that must be checked
	Gone    int    // wanted files that should have data and do not exist
	Partial int    // files that exist only under the name of an incomplete file
}

// minDescriptors is the number of files that a match may open.
const minDescriptors = 16

// Match compares what another program knows of the data of mi in the directory dir with the files
// there. It reads no data. skip marks the unwanted files by index. A missing directory is no error.
func (k *Kept) Match(mi *metainfo.MetaInfo, dir string, skip []bool) (*Match, error) {
	m := &Match{Name: k.nameIn(mi, dir)}
	info := &mi.Info
	have, err := bitfield.FromBytes(slices.Clone(k.Have), info.NumPieces())
	if err != nil {
		have = bitfield.New(info.NumPieces())
	}
	m.Record = &storage.Record{InfoHash: mi.Hash(), Have: have, Clean: true, Dir: dir, Name: m.Name, Uploaded: k.Uploaded, Downloaded: k.Downloaded,
		Seeding: seconds(k.Seeded), Added: k.Added, Completed: k.Completed}
	name, paths := m.onDisk(k, mi, dir)
	stats := make([]storage.FileStat, len(info.Files))
	files, err := storage.OpenDir(dir, info, storage.NewPool(minDescriptors), storage.DirOptions{ReadOnly: true, Name: name, Skip: skip, OtherPaths: mi.OtherPaths(true), Paths: paths})
	if err == nil {
		m.Record.Device = files.Device()
		stats, err = files.Stats()
		files.Close()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, storage.ErrMissing) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	m.judge(k, info, stats, skip)
	return m, nil
}

// judge records the states of the files, and drops the pieces that nothing vouches for.
func (m *Match) judge(k *Kept, info *metainfo.Info, stats []storage.FileStat, skip []bool) {
	rec := m.Record
	kept := rec.Have.Clone()
	wanted := func(i int) bool { return i >= len(skip) || !skip[i] }
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad() {
			continue
		}
		if wanted(i) {
			m.Total += f.Length
		}
		if f.Length == 0 || f.Symlink != nil {
			continue
		}
		first, end := piecesOf(info, i)
		switch {
		case !stats[i].Exists:
			if wanted(i) && allOf(info, kept, i) {
				m.Gone++
			}
			for p := first; p < end; p++ {
				rec.Have.Clear(p)
			}
		case !k.vouches(info, i, kept, stats[i]):
			if wanted(i) {
				m.Unsure += min(f.Length, stats[i].Size)
			}
			stats[i] = storage.FileStat{Exists: true} // unlike any file, so that it is checked
			for p := first; p < end; p++ {
				rec.Have.Clear(p)
			}
		}
	}
	rec.Files = stats
	for i := range info.Files {
		if f := &info.Files[i]; !f.Pad() && wanted(i) {
			m.Done += haveOf(info, rec.Have, i)
		}
	}
	if m.Done < m.Total {
		rec.Completed = time.Time{}
	} else if rec.Completed.IsZero() {
		rec.Completed = cmp.Or(k.Added, time.Unix(1, 0).UTC())
	}
}

// vouches reports whether the program has verified the pieces of file i as it is now.
func (k *Kept) vouches(info *metainfo.Info, i int, have bitfield.Bitfield, now storage.FileStat) bool {
	f := &info.Files[i]
	if have.None() { // perhaps the program was still checking the data
		return false
	}
	if i >= len(k.Until) || floorSeconds(now.ModTime) > k.Until[i] || now.Size > f.Length {
		return false
	}
	first, end := piecesOf(info, i)
	for p := end - 1; p >= first; p-- {
		if have.Get(p) {
			return now.Size >= min(f.Length, int64(p+1)*info.PieceLength-f.Offset)
		}
	}
	return true
}

// floorSeconds returns a time in nanoseconds as whole seconds.
func floorSeconds(ns int64) int64 { return time.Unix(0, ns).Unix() }

// haveOf returns how many bytes of file i are in pieces of have.
func haveOf(info *metainfo.Info, have bitfield.Bitfield, i int) (n int64) {
	f := &info.Files[i]
	first, end := piecesOf(info, i)
	for p := first; p < end; p++ {
		if have.Get(p) {
			n += min(f.Offset+f.Length, int64(p+1)*info.PieceLength) - max(f.Offset, int64(p)*info.PieceLength)
		}
	}
	return n
}

func (k *Kept) nameIn(mi *metainfo.MetaInfo, dir string) string {
	if k.Name != "" {
		return k.Name
	}
	return maker.NameIn(mi, dir)
}

// onDisk returns the name of the data and the paths of renamed files, with the endings that incomplete
// files still have.
func (m *Match) onDisk(k *Kept, mi *metainfo.MetaInfo, dir string) (name string, paths map[int]string) {
	top := filepath.Join(dir, m.Name)
	partial := func(path string) bool {
		if k.Partial == "" || there(path) || !there(path+k.Partial) {
			return false
		}
		m.Partial++
		return true
	}
	if mi.Info.Single() {
		if partial(top) {
			return m.Name + k.Partial, nil
		}
		return m.Name, nil
	}
	paths = maps.Clone(k.Paths)
	for i := range mi.Info.Files {
		if p := k.pathOf(mi, i); !mi.Info.Files[i].Pad() && partial(filepath.Join(top, filepath.FromSlash(p))) {
			if paths == nil {
				paths = map[int]string{}
			}
			paths[i] = p + k.Partial
		}
	}
	return m.Name, paths
}

// pathOf returns the path of file i below the name of the data.
func (k *Kept) pathOf(mi *metainfo.MetaInfo, i int) string {
	if p, ok := k.Paths[i]; ok {
		return p
	}
	return mi.Info.Files[i].DisplayPath()
}

// Check returns an error if a path of k could lead out of the directory of the data.
func (k *Kept) Check(mi *metainfo.MetaInfo) error {
	bad := errors.New("a path of its files leads out of its directory")
	if k.Name != "" && (k.Name == "." || !filepath.IsLocal(k.Name) || filepath.Base(k.Name) != k.Name) {
		return bad
	}
	if k.Partial != "" && filepath.Base("x"+k.Partial) != "x"+k.Partial {
		return bad
	}
	if len(k.Paths) == 0 {
		return nil
	}
	taken := map[string]bool{}
	for i := range mi.Info.Files {
		if p := k.pathOf(mi, i); !mi.Info.Files[i].Pad() {
			if taken[p] {
				return errors.New("two of its files have one path")
			}
			taken[p] = true
		}
	}
	size := 0
	for i, p := range k.Paths {
		if i < 0 || i >= len(mi.Info.Files) || mi.Info.Single() || path.Clean(p) != p || !filepath.IsLocal(filepath.FromSlash(p)) {
			return bad
		}
		if size += len(p); size > maxPaths {
			return errors.New("too many of its files were renamed")
		}
	}
	return nil
}

// EndPartial gives the incomplete files their final names, which the other program knows too. It
// returns how many it has renamed.
func (k *Kept) EndPartial(mi *metainfo.MetaInfo, dir string) (n int, err error) {
	if k.Partial == "" {
		return 0, nil
	}
	root, err := folder.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	name := k.nameIn(mi, dir)
	for i := range mi.Info.Files {
		if mi.Info.Files[i].Pad() {
			continue
		}
		p := name
		if !mi.Info.Single() {
			p = filepath.Join(name, filepath.FromSlash(k.pathOf(mi, i)))
		}
		if _, err := root.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if fi, err := root.Lstat(p + k.Partial); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if err := root.Rename(p+k.Partial, p); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
