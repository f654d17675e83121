package maker

import (
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"spate/internal/hashing"
	"spate/merkle"
	"spate/metainfo"
)

// streamPieceLength is the piece length in bytes for data of unknown size.
const streamPieceLength = 1 << 20

// MakeReader makes a torrent of a single file with the data of r. size is the number of
// bytes that r will return, or negative if the number is unknown. The piece length for an
// unknown size is 1 MiB unless the options set it. Options.Name is required. MakeReader
// ignores the options that select files, and calls Options.Unmatched for each pattern.
//
// MakeReader checks between two reads whether ctx is cancelled. If a read of r blocks, the
// caller must unblock it.
func MakeReader(ctx context.Context, r io.Reader, size int64, o Options) (*metainfo.MetaInfo, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	how, err := o.style()
	if err != nil {
		return nil, err
	}
	how.pads = false
	total := max(size, 1)
	if size < 0 && o.PieceLength == 0 {
		o.PieceLength = streamPieceLength
	}
	// Lay out a file of this size first, because that finds all errors that do not depend
	// on the data.
	t := &tree{name: o.Name, single: true, size: total, entries: []entry{{stat: fileStat{size: total}}}}
	if o.Name == "" {
		return nil, &NameError{"", "a name is required for a torrent of a stream"}
	}
	b, err := newBuild(t, &o, how)
	if err != nil {
		return nil, err
	}
	if err := b.rehearse(); err != nil {
		return nil, err
	}
	so := scanOptions{}
	if so.include, err = parseCounted(o.Include); err != nil {
		return nil, err
	}
	if so.exclude, err = parseCounted(o.Exclude); err != nil {
		return nil, err
	}
	so.reportUnmatched(o.Unmatched)
	var count atomic.Int64
	stop := startReport(o.Progress, &count, max(size, 0))
	s := &stream{b: b, pieceLen: b.info.PieceLength, count: &count}
	err = s.run(ctx, r)
	stop()
	switch {
	case err != nil:
		return nil, err
	case s.total == 0:
		return nil, ErrEmpty
	case size >= 0 && s.total != size:
		return nil, &ChangedError{o.Name, "resized"}
	}
	b.info.Files[0].Length = s.total
	b.info.Pieces, b.layers = s.pieces, nil
	root := layerRoot(s.layer, s.pieceLen)
	if len(s.layer) == merkle.HashSize { // the root of a file with one piece is computed without padding
		root = s.tree.Root()
	}
	switch {
	case b.layout.beside:
		b.beside = &metainfo.V2Hashes{Pieces: s.layer, Files: root[:]}
	case b.layout.v2 && len(s.layer) == merkle.HashSize:
		b.layers = [][]byte{root[:]}
	case b.layout.v2:
		b.layers = [][]byte{s.layer}
	}
	m, err := b.torrent()
	if err != nil {
		return nil, err
	}
	return b.complete(m)
}

// stream hashes the data of a reader. While it fills one buffer, it hashes the previous
// one for v1 and v2 concurrently.
type stream struct {
	b        *build
	pieceLen int64
	count    *atomic.Int64
	total    int64

	pieces []byte
	layer  []byte
	tree   *merkle.Builder // tree of the current piece

	blocks [][]byte
	hashes [][32]byte
}

func (s *stream) run(ctx context.Context, r io.Reader) error {
	s.tree = merkle.NewBuilder(0)
	v1 := sha1.New()
	buf, next := make([]byte, readSize), make([]byte, readSize)
	var in1, in2 int64 // number of bytes in the current piece, for v1 and for v2
	var wg sync.WaitGroup
	defer wg.Wait()
	for end := false; !end; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			end = true
		case err != nil:
			return &fs.PathError{Op: "read", Path: s.b.info.Name, Err: err}
		}
		wg.Wait()
		s.total += int64(n)
		s.count.Store(s.total)
		if s.total > maxPieces*s.pieceLen {
			return &PieceLengthError{s.pieceLen, "gives more pieces than clients accept"}
		}
		data := buf[:n]
		buf, next = next, buf
		if s.b.layout.v1 {
			wg.Go(func() {
				in1 = eachPiece(data, in1, s.pieceLen, func(p []byte, full bool) {
					v1.Write(p)
					if full {
						s.pieces = v1.Sum(s.pieces)
						v1.Reset()
					}
				})
			})
		}
		if s.b.layout.trees() {
			wg.Go(func() {
				in2 = eachPiece(data, in2, s.pieceLen, s.addBlocks)
			})
		}
	}
	wg.Wait()
	if s.b.layout.v1 && int64(len(s.pieces)/20)*s.pieceLen < s.total {
		s.pieces = v1.Sum(s.pieces)
	}
	if s.b.layout.trees() && int64(len(s.layer)/32)*s.pieceLen < s.total {
		h := s.tree.RootAt(merkle.Layer(s.pieceLen))
		s.layer = append(s.layer, h[:]...)
	}
	return nil
}

// eachPiece splits data at the ends of pieces and calls f for each part. in is the
// number of bytes of the current piece before data; the result is that number after
// data.
func eachPiece(data []byte, in, pieceLen int64, f func(p []byte, full bool)) int64 {
	for len(data) > 0 {
		n := min(int64(len(data)), pieceLen-in)
		in += n
		f(data[:n], in == pieceLen)
		data = data[n:]
		if in == pieceLen {
			in = 0
		}
	}
	return in
}

// addBlocks adds the blocks of a part of a piece. Only the last part of the data can
// end with an incomplete block, because buffers and pieces are multiples of the block
// size.
func (s *stream) addBlocks(p []byte, full bool) {
	if s.tree.Len() == s.pieceLen/merkle.BlockSize {
		s.tree.Reset()
	}
	s.blocks = s.blocks[:0]
	for len(p) > 0 {
		n := min(len(p), merkle.BlockSize)
		s.blocks = append(s.blocks, p[:n])
		p = p[n:]
	}
	for len(s.hashes) < len(s.blocks) {
		s.hashes = append(s.hashes, [32]byte{})
	}
	hashing.SumSHA256(s.hashes, s.blocks)
	for k := range s.blocks {
		s.tree.Add(&s.hashes[k])
	}
	if full {
		h := s.tree.RootAt(merkle.Layer(s.pieceLen))
		s.layer = append(s.layer, h[:]...)
	}
}
