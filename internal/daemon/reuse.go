package daemon

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/internal/atomicfile"
	"spate/internal/folder"
	"spate/internal/units"
	"spate/maker"
)

// A directory of downloads often has files of a new torrent already: under other names, or as part
// of an older release. A download finds them by their length and their pieces root (BEP 52), and
// copies them. The file system shares the blocks of a copy if it can. A wrong root in an untrusted
// torrent only causes useless work, because the engine checks all data afterwards. A right one shows
// the peers that the file is there, and gives it to them, so hidden files and directories, which hold
// keys and settings of programs, are left out, and a copy is readable by nobody who cannot read the
// file.

// Bounds of the search.
const (
	maxSearched   = 100_000  // entries of directories
	maxReuseReads = 4        // bytes read of candidates, for each byte that is missing
	minReuseReads = 64 << 20 // bytes that are read of candidates in any case
	copyStep      = 64 << 20 // bytes copied between checks of the context
	reuseTemp     = ".reuse" // extension of a copy that is not complete
)

// reuser copies files of one download.
type reuser struct {
	d       *Download
	in      *folder.Folder  // the directory of the download
	missing map[int64][]int // the indexes of missing files in the torrent, by length
	bytes   int64           // their total length
	files   int             // number of files that were copied
	copied  int64           // their total length
	reads   int64           // bytes that may still be read
	done    int64           // bytes that were read or copied
	total   int64           // bytes to read and copy
	update  func(done, total int64)
}

// reuse copies the missing files of the torrent that it finds elsewhere in the directory. It never
// changes a file that exists. An error is that of ctx: the download goes on without files that
// cannot be read or copied.
func (d *Download) reuse(ctx context.Context, env *Env, progress func() (update func(done, total int64), finish func())) error {
	if d.conf.Reuse == nil {
		return nil
	}
	in, err := folder.Open(d.conf.Dir, folder.Options{})
	if err != nil {
		return nil // starting the download reports it
	}
	defer in.Close()
	r := &reuser{d: d, in: in, missing: map[int64][]int{}}
	r.findMissing()
	if len(r.missing) == 0 {
		return nil
	}
	paths := r.candidates()
	if len(paths) == 0 {
		return nil
	}
	r.reads = max(maxReuseReads*r.bytes, minReuseReads)
	r.total += r.bytes
	var finish func()
	r.update, finish = progress()
	for _, path := range paths {
		if err = r.try(ctx, path); err != nil {
			break
		}
	}
	finish()
	if r.files > 0 {
		env.Notef("%s: copied %s (%s) that %s elsewhere in %s", d.MetaInfo.Info.Name,
			units.Plural(r.files, "file"), units.Bytes(r.copied), units.Agree(r.files, "was", "were"), d.conf.Dir)
	}
	if err != nil && ctx.Err() == nil {
		env.Warnf("%s: files in %s cannot be copied: %v", d.MetaInfo.Info.Name, d.conf.Dir, err)
		return nil
	}
	return err
}

// target returns the path of file k below the directory.
func (r *reuser) target(k int) string {
	return filepath.Join(append([]string{r.d.conf.Name}, r.d.MetaInfo.Info.Files[k].Path...)...)
}

// findMissing records the selected files that do not exist and whose root is known.
func (r *reuser) findMissing() {
	absent := func(path string) bool {
		_, err := r.in.Root().Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	m := r.d.MetaInfo
	all := absent(r.d.conf.Name)
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		if f.Length == 0 || f.Pad() || f.IsSymlink() || m.FileRoot(k) == nil || !r.d.conf.Reuse(f.Path) {
			continue
		}
		if all || absent(r.target(k)) {
			r.missing[f.Length] = append(r.missing[f.Length], k)
			r.bytes += f.Length
		}
	}
}

// candidates returns the paths of regular files that have the length of a missing file. It searches
// directories near the top first, follows no links, leaves out hidden files and directories, and
// returns files with the name of a missing one first. It adds the lengths to the total.
func (r *reuser) candidates() []string {
	names := map[string]bool{}
	for _, ks := range r.missing {
		for _, k := range ks {
			names[filepath.Base(r.target(k))] = true
		}
	}
	var named, others []string
	seen := 0
	for queue := []string{"."}; len(queue) > 0 && seen < maxSearched; queue = queue[1:] {
		for _, e := range r.list(queue[0], maxSearched-seen) {
			seen++
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			path := filepath.Join(queue[0], e.Name())
			if e.IsDir() {
				queue = append(queue, path)
				continue
			}
			if !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if err != nil || r.missing[info.Size()] == nil {
				continue
			}
			r.total += info.Size()
			if names[e.Name()] {
				named = append(named, path)
			} else {
				others = append(others, path)
			}
		}
	}
	return append(named, others...)
}

// list returns at most most entries of the directory at path, or none if it cannot be read.
func (r *reuser) list(path string, most int) []fs.DirEntry {
	sub, err := r.in.Sub(path)
	if err != nil {
		return nil
	}
	defer sub.Close()
	entries, _ := sub.ReadSome(most)
	return entries
}

// try copies the file at path to the paths of all missing files with its data.
func (r *reuser) try(ctx context.Context, path string) error {
	f, err := r.in.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	size := info.Size()
	ks := r.missing[size]
	if len(ks) == 0 || size > r.reads || len(ks) == 1 && !r.beginsAs(f, ks[0]) {
		return ctx.Err()
	}
	root, err := maker.FileRoot(ctx, &countedReader{f, r}, size)
	if err != nil {
		return ctx.Err() // a file that cannot be read is no candidate
	}
	for _, k := range slices.Clone(ks) {
		if *r.d.MetaInfo.FileRoot(k) != root {
			continue
		}
		if err := r.copyTo(ctx, f, r.target(k), info); err != nil {
			return err
		}
		r.missing[size] = slices.DeleteFunc(r.missing[size], func(i int) bool { return i == k })
		r.files++
		r.copied += size
	}
	return nil
}

// beginsAs reports whether f has the first whole piece of file k of the torrent, so that a file with
// other data need not be read to its end. It returns true if the torrent has no v1 hash of such a
// piece.
func (r *reuser) beginsAs(f *os.File, k int) bool {
	info := &r.d.MetaInfo.Info
	file := &info.Files[k]
	piece := (file.Offset + info.PieceLength - 1) / info.PieceLength
	at := piece*info.PieceLength - file.Offset
	if !info.HasV1() || at+info.PieceLength > file.Length {
		return true
	}
	h := sha1.New()
	if _, err := io.Copy(h, io.NewSectionReader(&countedReader{f, r}, at, info.PieceLength)); err != nil {
		return false
	}
	return [sha1.Size]byte(h.Sum(nil)) == info.PieceHashV1(int(piece))
}

// copyTo copies f to the path to below the directory, at which nothing exists. It writes under a
// temporary name, so that a copy that was killed is not taken for a part of the download.
func (r *reuser) copyTo(ctx context.Context, f *os.File, to string, info fs.FileInfo) (err error) {
	root := r.in.Root()
	dir, name := filepath.Split(to)
	if err := root.MkdirAll(filepath.Clean(dir), 0o777); err != nil {
		return err
	}
	tmp := dir + atomicfile.HiddenName(name, reuseTemp)
	root.Remove(tmp) // left by a copy that was killed
	out, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600|info.Mode().Perm()&0o666)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err == nil {
			err = root.Rename(tmp, to)
		}
		if err != nil {
			root.Remove(tmp)
		}
	}()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for left := info.Size(); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, f, min(left, copyStep)) // shares blocks where the system and the file system can
		if err != nil {
			return fmt.Errorf("%s: %w", to, err)
		}
		left -= n
		r.step(n)
	}
	return nil
}

// step adds n bytes to the progress.
func (r *reuser) step(n int64) {
	r.done += n
	r.update(min(r.done, r.total), r.total)
}

// countedReader counts the bytes that are read of a candidate.
type countedReader struct {
	f *os.File
	r *reuser
}

// ReadAt implements io.ReaderAt.
func (c *countedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.f.ReadAt(p, off)
	c.r.reads -= int64(n)
	c.r.step(int64(n))
	return n, err
}
