// Package maker makes torrents from files, and checks files against torrents.
//
// It reads the data once for all formats: each worker computes the hashes for v1 (BEP 3)
// and v2 (BEP 52) from the same buffer. The result depends only on the files and the
// options, not on the number of cores. If a file changes while it is read, the result is an
// error. Nothing outside of the directory is opened.
//
// The package needs less than 64 MiB of memory, plus the list of files and the hashes of
// the torrent.
package maker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/units"
	"spate/merkle"
	"spate/metainfo"
)

// Make makes a torrent of the file or directory at path, in [Options.Root] if
// there is one.
//
// If ctx is cancelled, Make returns the cause within 100 ms, unless the disk blocks it.
// Other errors are [ErrNoPath], [ErrEmpty], *[ChangedError], *[NameError], *[CollisionError],
// *[PatternError], *[PieceLengthError], *[MissingError], *[WrittenError], errors of the file system,
// and *[metainfo.Error] for a torrent that the parser would reject, for example because it
// has too many pieces.
func Make(ctx context.Context, path string, o Options) (*metainfo.MetaInfo, error) {
	b, t, err := o.prepare(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := b.hash(ctx, t); err != nil {
		return nil, err
	}
	return b.finish()
}

// build is a torrent under construction.
type build struct {
	o      *Options
	how    style
	info   metainfo.Info
	layout layout
	file   []int32            // for each file of the run, its index in info.Files
	layers [][]byte           // piece layers of the same files; nil for a v1 torrent
	beside *metainfo.V2Hashes // of a v1 torrent that has them; else nil
	free   []byte             // memory for further layers

	// made is the torrent with invented hashes. Its info dictionary contains info.Pieces.
	made *metainfo.MetaInfo

	// Tests set these fields. afterHash is called before the files are checked again;
	// ordered simulates a rotational disk.
	afterHash func()
	ordered   bool
}

// newBuild lays out the files. It returns all errors that can be found without reading
// data.
func newBuild(t *tree, o *Options, how style) (*build, error) {
	b := &build{o: o, how: how}
	b.info = metainfo.Info{
		Name: o.Name, PieceLength: o.PieceLength, Private: o.Private, Source: o.Source,
		Similar: o.Similar, Collections: o.Collections,
	}
	if b.info.Name == "" {
		b.info.Name = t.name
	}
	if err := checkTorrentName(b.info.Name, o.Format); err != nil {
		return nil, err
	}
	if b.info.PieceLength == 0 {
		b.info.PieceLength = t.pieceLength(o.Format == metainfo.Hybrid, o.ForHTTP || len(o.WebSeeds) > 0)
	}
	b.layout = layout{pieceLen: b.info.PieceLength, v1: o.Format != metainfo.V2, v2: o.Format != metainfo.V1}
	if b.layout.v2 {
		b.info.MetaVersion = 2
	}
	b.layout.beside = o.v2Hashes && !how.pads
	files := len(t.entries)
	b.file, b.layout.extents = make([]int32, 0, files), make([]extent, 0, files)
	if b.layout.v1 && how.pads {
		files *= 2 // almost every file is followed by a pad file
	}
	b.info.Files = make([]metainfo.File, 0, files)
	for i := range t.entries {
		b.add(t, &t.entries[i])
	}
	n := b.layout.numPieces()
	if n > maxPieces {
		return nil, &PieceLengthError{b.info.PieceLength, fmt.Sprintf("gives %s, but clients accept at most %d", units.Plural(n, "piece"), maxPieces)}
	}
	if b.layout.v1 {
		b.info.Pieces = make([]byte, 20*n)
	}
	if b.layout.beside {
		b.beside = &metainfo.V2Hashes{
			Pieces: make([]byte, merkle.HashSize*n), Files: make([]byte, merkle.HashSize*len(b.info.Files)),
		}
	}
	if err := b.checkSize(len(t.entries)); err != nil {
		return nil, err
	}
	return b, nil
}

// pieceLength chooses the piece length for a tree. It considers the padding if the torrent
// is a hybrid.
func (t *tree) pieceLength(hybrid, webSeed bool) int64 {
	if !hybrid || t.single {
		return PieceLength(t.size, webSeed)
	}
	sizes := make([]int64, len(t.entries))
	for i := range sizes {
		sizes[i] = t.entries[i].stat.size
	}
	return alignedPieceLength(sizes, webSeed)
}

// add appends a file and its padding to the torrent.
func (b *build) add(t *tree, e *entry) {
	// Padding normally follows each file. With NoTailPadding it is added before the
	// next file with data instead, so that the last file has none.
	if b.o.NoTailPadding && e.stat.size > 0 {
		b.align(t)
	}
	f := metainfo.File{Length: e.stat.size, Offset: b.layout.total}
	if !t.single {
		f.Path = strings.Split(e.rel, "/")
	}
	switch {
	case e.link != "":
		f.Attr = metainfo.AttrSymlink
		f.Symlink = &metainfo.Symlink{Target: strings.Split(e.link, "/")}
	case e.exec && b.how.attributes:
		f.Attr = metainfo.AttrExecutable
	}
	b.info.Files = append(b.info.Files, f)
	if f.Length == 0 {
		return
	}
	b.layout.extents = append(b.layout.extents, extent{len(b.file), f.Offset, f.Length})
	b.layout.total = f.Offset + f.Length
	b.file = append(b.file, int32(len(b.info.Files)-1))
	if b.layout.v2 {
		pieces := (f.Length + b.info.PieceLength - 1) / b.info.PieceLength
		b.layers = append(b.layers, b.newLayer(int(32*pieces)))
	}
	if !b.o.NoTailPadding {
		b.align(t)
	}
}

// newLayer returns memory for n bytes of a piece layer. Short layers share allocations.
func (b *build) newLayer(n int) []byte {
	const slab = 64 << 10
	if n > len(b.free) {
		b.free = make([]byte, max(n, slab))
	}
	layer := b.free[:n:n]
	b.free = b.free[n:]
	return layer
}

// align appends padding up to the next piece: a pad file in a hybrid torrent, or a gap
// in a v2 torrent. A torrent with one file gets no padding, so that a hybrid torrent
// can be a single file.
func (b *build) align(t *tree) {
	over := b.layout.total % b.info.PieceLength
	if over == 0 || !b.how.pads || len(t.entries) == 1 {
		return
	}
	n := b.info.PieceLength - over
	if b.layout.v1 {
		b.info.Files = append(b.info.Files, metainfo.File{Length: n, Offset: b.layout.total, Attr: metainfo.AttrPad})
	}
	b.layout.total += n
}

// opener returns an opener for the files of the tree.
func (b *build) opener(t *tree) (*opener, error) {
	from, err := newOpener(t.at, t.single)
	if err == nil {
		from.follow = b.how.links == LinksFollow
	}
	return from, err
}

// hash reads all files and stores the hashes of the pieces and the piece layers.
func (b *build) hash(ctx context.Context, t *tree) error {
	from, err := b.opener(t)
	if err != nil {
		return err
	}
	defer from.close()
	var count atomic.Int64
	files := newEntrySources(t.entries)
	r := &run{
		layout: &b.layout, from: from, files: files, workers: b.o.Workers, strict: true, count: &count,
		done: b.piece,
	}
	r.ordered = b.ordered || rotational(files.at(0).stat.dev)
	if b.beside != nil {
		r.fileTrees = newFileTrees(&b.layout)
	}
	stop := startReport(b.o.Progress, &count, t.size)
	defer stop()
	if err := r.hash(ctx); err != nil {
		return err
	}
	if b.beside != nil {
		for k, file := range b.file {
			copy(b.beside.Files[merkle.HashSize*int(file):], r.fileTrees.root(k))
		}
	}
	if b.afterHash != nil {
		b.afterHash()
	}
	return r.recheck(ctx)
}

// piece stores the hashes of a piece.
func (b *build) piece(p piece, s *sums) {
	if b.layout.v1 {
		copy(b.info.Pieces[20*p.index:], s.v1[:])
	}
	if b.layout.beside {
		copy(b.beside.Pieces[merkle.HashSize*p.index:], s.v2[:])
	}
	if b.layout.v2 {
		e := b.layout.extents[p.ext]
		k := int64(p.index) - e.off/b.layout.pieceLen
		copy(b.layers[e.file][32*k:], s.v2[:])
	}
}

// entrySources are the entries of a tree that have data.
type entrySources struct {
	entries []entry
	data    []int32 // indexes of the entries with data; nil: all have data
}

func newEntrySources(entries []entry) *entrySources {
	s := &entrySources{entries: entries}
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.stat.size == 0 }) {
		return s
	}
	s.data = make([]int32, 0, len(entries))
	for i := range entries {
		if entries[i].stat.size > 0 {
			s.data = append(s.data, int32(i))
		}
	}
	return s
}

func (s *entrySources) count() int {
	if s.data != nil {
		return len(s.data)
	}
	return len(s.entries)
}

func (s *entrySources) at(k int) source {
	if s.data != nil {
		k = int(s.data[k])
	}
	e := &s.entries[k]
	return source{rel: e.rel, stat: e.stat}
}

// torrent returns the torrent with the current hashes.
func (b *build) torrent() (*metainfo.MetaInfo, error) {
	roots := make([][32]byte, len(b.layers))
	layers := map[[32]byte][]byte{}
	for k, layer := range b.layers {
		roots[k] = layerRoot(layer, b.info.PieceLength)
		b.info.Files[b.file[k]].PiecesRoot = &roots[k]
		if len(layer) > 32 {
			layers[roots[k]] = layer
		}
	}
	info := b.info
	b.info.Files = nil // New frees the files before it parses the torrent
	m, err := metainfo.New(info, layers)
	if err != nil {
		return nil, err
	}
	b.info.Files, b.info.Pieces = m.Info.Files, m.Info.Pieces
	return m, nil
}

// finish writes the hashes into the torrent that rehearse made, and returns it with the
// values outside of the info dictionary.
func (b *build) finish() (*metainfo.MetaInfo, error) {
	layers := map[[32]byte][]byte{}
	for k, layer := range b.layers {
		root := layerRoot(layer, b.info.PieceLength)
		*b.made.Info.Files[b.file[k]].PiecesRoot = root
		if len(layer) > 32 {
			layers[root] = layer
		}
	}
	if err := b.made.SetLayers(layers); err != nil {
		return nil, err
	}
	return b.complete(b.made)
}

// complete adds the values outside of the info dictionary to m.
func (b *build) complete(m *metainfo.MetaInfo) (*metainfo.MetaInfo, error) {
	if b.how.private && !b.o.Private {
		var err error
		if m, err = withPrivateZero(m); err != nil {
			return nil, err
		}
	}
	m.V2Hashes = b.beside
	b.o.setAddresses(m)
	m.Comment, m.CreatedBy = b.o.Comment, b.o.CreatedBy
	if !b.o.NoDate {
		m.CreationDate = b.o.Date.Truncate(time.Second)
	}
	return m, nil
}

// withPrivateZero returns m with "private" set to 0 in its info dictionary.
func withPrivateZero(m *metainfo.MetaInfo) (*metainfo.MetaInfo, error) {
	raw, err := metainfo.EditInfo(m.InfoBytes, map[string][]byte{"private": []byte("i0e")})
	if err != nil {
		return nil, err
	}
	n, err := metainfo.Options{Names: metainfo.NamesNative}.FromInfo(raw)
	if err != nil {
		return nil, err
	}
	n.PieceLayers = m.PieceLayers
	return n, nil
}

// checkTorrentName returns an error unless name can be the name of a torrent.
func checkTorrentName(name string, f metainfo.Format) error {
	if name == "." || name == ".." || name == "" || strings.ContainsAny(name, "/\x00") {
		return &NameError{name, "cannot be the name of a torrent; use another name"}
	}
	return checkName(name, f)
}

// recheck checks all files for changes since they were read.
func (r *run) recheck(ctx context.Context) error {
	n := max(1, min(r.procs(), r.files.count()/256))
	errs := make([]error, n)
	var wg sync.WaitGroup
	var next atomic.Int64
	for k := range n {
		wg.Go(func() {
			for errs[k] == nil && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= r.files.count() {
					return
				}
				errs[k] = r.recheckFile(r.files.at(i))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (r *run) recheckFile(f source) error {
	now, err := r.from.stat(f.rel)
	if err != nil {
		return &ChangedError{r.from.name(f.rel), "removed"}
	}
	return f.unchanged(r.from.name(f.rel), now)
}
