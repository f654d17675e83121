package maker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"spate/bitfield"
	"spate/metainfo"
)

// VerifyOptions configures [Verify]. The zero value selects the defaults.
type VerifyOptions struct {
	Workers  int            // number of goroutines that read and hash; 0 selects GOMAXPROCS
	Progress func(Progress) // as in [Options]
	Root     *os.Root       // as in [Options]
}

// Verify checks the data at path, which is the file or top directory of the torrent,
// against m. Each piece is checked with its v1 hash, its v2 hash, or both. A file of a v1 torrent
// with v2 hashes that shares a missing or bad piece with another file is also checked by its root.
// Missing or damaged data is not an error but part of the report. Verify returns an error if ctx is
// cancelled, as [Make] does, or if path cannot be read.
//
// Nothing outside of the directory is opened, and nothing is written.
func Verify(ctx context.Context, m *metainfo.MetaInfo, path string, o VerifyOptions) (*Report, error) {
	at, err := locationOf(path, o.Root)
	if err != nil {
		return nil, err
	}
	v, err := newVerification(m, at)
	if err != nil {
		return nil, err
	}
	defer v.from.close()
	var count atomic.Int64
	r := &run{
		layout: &v.layout, from: v.from, files: v, workers: o.Workers, lenient: true, count: &count, done: v.piece,
		ordered: v.found && rotational(v.dev),
	}
	stop := startReport(o.Progress, &count, v.layout.dataSize())
	err = r.hash(ctx)
	stop()
	if err != nil {
		return nil, err
	}
	v.wholeFiles()
	if err := v.checkRoots(ctx); err != nil {
		return nil, err
	}
	return v.report(), nil
}

// verification is a check in progress.
type verification struct {
	m      *metainfo.MetaInfo
	from   *opener
	layout layout
	index  []int32        // for each file with data, its index in Info.Files
	sizes  []int64        // sizes of the same files on disk
	absent map[int]error  // why the same files cannot be read, by index in index
	other  map[int]string // their paths below the top directory, if these differ from Info.Files
	got    map[int][]byte // v2: computed piece layers of the same files, if the torrent has none
	rooted map[int]bool   // v1: the same files that match their root, although a piece of theirs is not good
	states []pieceState
	zeros  zeroHashes

	found bool   // there is at least one of the files
	dev   uint64 // device of the first one

	mu     sync.Mutex
	differ int           // number of pieces of a hybrid torrent that match only one of their hashes
	failed map[int]error // read errors by index in index
}

type pieceState uint8

const (
	pieceMissing pieceState = iota // could not be read completely
	pieceZeros                     // is not good, and its data consists of zeros
	pieceBad
	pieceGood
)

func newVerification(m *metainfo.MetaInfo, at location) (*verification, error) {
	i := &m.Info
	v := &verification{m: m, absent: map[int]error{}, other: map[int]string{}, got: map[int][]byte{}, rooted: map[int]bool{}, failed: map[int]error{}}
	v.layout = layout{pieceLen: i.PieceLength, total: i.TotalLength(), v1: i.HasV1(), v2: i.HasV2()}
	v.states = make([]pieceState, i.NumPieces())
	var err error
	if v.from, err = newOpener(at, i.Single()); err != nil {
		return nil, err
	}
	v.from.follow = true
	other := m.OtherPaths(false)
	n := 0
	for k := range i.Files {
		if hasData(&i.Files[k]) {
			n++
		}
	}
	v.layout.extents, v.index, v.sizes = make([]extent, 0, n), make([]int32, 0, n), make([]int64, 0, n)
	for k := range i.Files {
		f := &i.Files[k]
		if !hasData(f) {
			continue
		}
		at := len(v.index)
		v.layout.extents = append(v.layout.extents, extent{at, f.Offset, f.Length})
		v.index = append(v.index, int32(k))
		v.sizes = append(v.sizes, v.find(at, other[k]))
		if v.layout.v2 && m.PieceLayer(f) == nil {
			n := (f.Length + i.PieceLength - 1) / i.PieceLength
			v.got[at] = make([]byte, 32*n)
		}
	}
	if err := v.absent[0]; err != nil && i.Single() {
		v.from.close()
		return nil, err
	}
	return v, nil
}

func hasData(f *metainfo.File) bool { return f.Length > 0 && !f.Pad() }

// file returns file k of those with data.
func (v *verification) file(k int) *metainfo.File { return &v.m.Info.Files[v.index[k]] }

// find searches for file k of those with data: at the path at which spate stores it, or else
// at the first of the other paths at which it exists. It returns the size on disk.
func (v *verification) find(k int, other []string) int64 {
	st, err := v.from.stat(v.file(k).DisplayPath())
	for _, p := range other {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if now, there := v.from.stat(p); there == nil {
			st, err = now, nil
			v.other[k] = p
		}
	}
	if err != nil {
		v.absent[k] = err
	} else if !v.found {
		v.found, v.dev = true, st.dev
	}
	return st.size
}

// count and at implement sources.
func (v *verification) count() int { return len(v.index) }

func (v *verification) at(k int) source {
	rel, ok := v.other[k]
	if !ok {
		rel = v.file(k).DisplayPath()
	}
	return source{rel: rel, stat: fileStat{size: v.sizes[k]}, err: v.absent[k]}
}

// piece compares the hashes of a piece with the torrent.
func (v *verification) piece(p piece, s *sums) {
	if s.err != nil {
		v.unreadable(s.err)
		return
	}
	state := pieceGood
	if v.layout.v1 && v.m.Info.PieceHashV1(p.index) != s.v1 {
		state = pieceBad
	}
	if v.layout.v2 && p.data > 0 {
		e := v.layout.extents[p.ext]
		at := 32 * (p.index - int(e.off/v.layout.pieceLen))
		if layer := v.m.PieceLayer(v.file(e.file)); layer == nil {
			copy(v.got[e.file][at:], s.v2[:]) // wholeFiles compares it later
		} else if good := bytes.Equal(layer[at:at+32], s.v2[:]); !good || state == pieceBad {
			if v.layout.v1 && good != (state == pieceGood) {
				v.mu.Lock()
				v.differ++
				v.mu.Unlock()
			}
			state = pieceBad
		}
	}
	if state == pieceBad && v.zeros.equal(&v.layout, p, s) {
		state = pieceZeros
	}
	v.states[p.index] = state
}

// unreadable records a read error.
func (v *verification) unreadable(err error) {
	var r *readError
	if errors.As(err, &r) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.failed[r.file] == nil {
			v.failed[r.file] = r.err
		}
	}
}

// wholeFiles checks the files without a piece layer by their roots.
func (v *verification) wholeFiles() {
	for k, layer := range v.got {
		e := v.layout.extents[k]
		first := int(e.off / v.layout.pieceLen)
		pieces := v.states[first : first+len(layer)/32]
		complete := true
		for _, s := range pieces {
			complete = complete && s != pieceMissing
		}
		root := v.file(k).PiecesRoot
		if root == nil || complete && layerRoot(layer, v.layout.pieceLen) == *root || !complete && v.layout.v1 {
			continue // the file is good, or its existing pieces were checked by their v1 hashes
		}
		for i, s := range pieces {
			if s != pieceGood {
				continue
			}
			switch {
			case !complete:
				pieces[i] = pieceMissing // without a layer the piece cannot be checked
			case v.layout.v1:
				v.differ++
				fallthrough
			default:
				pieces[i] = pieceBad
				at := int64(i) * v.layout.pieceLen
				shape := zeroPiece{min(v.layout.pieceLen, e.size-at), e.size <= v.layout.pieceLen}
				if v.zeros.equalV2([32]byte(layer[32*i:]), shape, v.layout.pieceLen) {
					pieces[i] = pieceZeros
				}
			}
		}
	}
}

// files returns the number of files without pad files.
func files(i *metainfo.Info) int {
	n := 0
	for k := range i.Files {
		if !i.Files[k].Pad() {
			n++
		}
	}
	return n
}

// report returns the result.
func (v *verification) report() *Report {
	i := &v.m.Info
	r := &Report{Pieces: len(v.states), Differ: v.differ, Have: bitfield.New(len(v.states))}
	for k, s := range v.states {
		switch s {
		case pieceGood:
			r.Good++
			r.Have.Set(k)
		case pieceBad:
			r.Bad++
		case pieceZeros:
			r.Zeros++
			fallthrough
		default:
			r.Missing++
		}
	}
	r.Files = make([]FileReport, 0, files(i))
	at := 0 // index in v.index
	for k := range i.Files {
		f := &i.Files[k]
		if f.Pad() {
			continue
		}
		fr := FileReport{Path: f.DisplayPath(), Length: f.Length}
		if i.Single() {
			fr.Path = i.Name
		}
		if f.Length == 0 {
			v.emptyFile(f, &fr)
		} else {
			v.dataFile(at, &fr)
			at++
		}
		r.Files = append(r.Files, fr)
	}
	return r
}

// emptyFile reports the state of a file without data or of a symbolic link.
func (v *verification) emptyFile(f *metainfo.File, fr *FileReport) {
	if f.IsSymlink() && !v.m.Info.Single() {
		if _, err := v.from.root.Lstat(relOrDot(fr.Path)); f.Symlink != nil && err != nil {
			fr.State, fr.Err = FileMissing, err
		}
		return
	}
	st, err := v.from.stat(f.DisplayPath())
	fr.Size = st.size
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fr.State, fr.Err = FileMissing, err
	case err != nil:
		fr.State, fr.Err = FileUnreadable, err
	case st.size > 0:
		fr.State = FileTooLong
	}
}

// dataFile reports the state of file k of those with data from the states of its pieces.
func (v *verification) dataFile(k int, fr *FileReport) {
	e := v.layout.extents[k]
	fr.Size, fr.Err = v.sizes[k], v.failed[k]
	if err := v.absent[k]; err != nil {
		fr.Err = err
	}
	if v.rooted[k] {
		if fr.Size > e.size {
			fr.State = FileTooLong
		}
		return
	}
	incomplete := fr.Err != nil || fr.Size < e.size
	count := [pieceGood + 1]int{}
	for p := e.off / v.layout.pieceLen; p*v.layout.pieceLen < e.end(); p++ {
		from, to := max(p*v.layout.pieceLen, e.off)-e.off, min((p+1)*v.layout.pieceLen, e.end())-e.off
		count[v.states[p]]++
		switch v.states[p] {
		case pieceBad, pieceZeros:
			fr.Damaged = addRange(fr.Damaged, from, to)
		case pieceMissing:
			if incomplete {
				fr.Damaged = addRange(fr.Damaged, from, to)
			} else {
				fr.Unverified = addRange(fr.Unverified, from, to)
			}
		}
	}
	switch {
	case errors.Is(fr.Err, fs.ErrNotExist):
		fr.State = FileMissing
	case fr.Err != nil && !errors.Is(fr.Err, errShort):
		fr.State = FileUnreadable
	case !incomplete && count[pieceZeros] > 0 && count[pieceBad] == 0:
		fr.State, fr.Err = FileIncomplete, nil
	case len(fr.Damaged) > 0:
		fr.State, fr.Err = FileDamaged, nil
	case fr.Size > e.size:
		fr.State = FileTooLong
	case len(fr.Unverified) > 0:
		fr.State = FileUnverified
	}
}

// readError is a read error of one file in a lenient run.
type readError struct {
	file int
	err  error
}

func (e *readError) Error() string { return fmt.Sprintf("file %d: %v", e.file, e.err) }
func (e *readError) Unwrap() error { return e.err }
