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

// streamPieceLength is the piece length for data of unknown size.
const streamPieceLength = 1 << 20

// MakeReader makes the torrent of a single file from what r reads to its end.
// size is how many bytes that will be, or negative where it is unknown; then
// pieces are of 1 MiB unless the options say otherwise. Options.Name is needed;
// those that select files mean nothing here.
//
// A cancelled ctx is noticed between reads; r must be made to return by other
// means.
func MakeReader(ctx context.Context, r io.Reader, size int64, o Options) (*metainfo.MetaInfo, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	how, err := o.manner()
	if err != nil {
		return nil, err
	}
	how.pads = false
	total := max(size, 1)
	if size < 0 && o.PieceLength == 0 {
		o.PieceLength = streamPieceLength
	}
	// A stand-in of the right size has everything refused that can be, before
	// data is read.
	t := &tree{name: o.Name, single: true, size: total, entries: []entry{{stat: fileStat{size: total}}}}
	if o.Name == "" {
		return nil, &NameError{"", "a torrent of a stream needs a name"}
	}
	b, err := newBuild(t, &o, how)
	if err != nil {
		return nil, err
	}
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
	if b.layout.v2 {
		b.layers = [][]byte{s.layer}
		if len(s.layer) == 32 { // of one piece: not filled up to a whole one
			root := s.tree.Root()
			b.layers[0] = root[:]
		}
	}
	return b.torrent()
}

// stream hashes what is read from a reader: while one buffer is filled, the one
// before is hashed, v1 beside v2.
type stream struct {
	b        *build
	pieceLen int64
	count    *atomic.Int64
	total    int64

	pieces []byte
	layer  []byte
	tree   *merkle.Builder // of the last piece

	leaves [][]byte
	hashes [][32]byte
}

func (s *stream) run(ctx context.Context, r io.Reader) error {
	s.tree = merkle.NewBuilder(0)
	v1 := sha1.New()
	buf, next := make([]byte, readSize), make([]byte, readSize)
	var in1, in2 int64 // bytes in the open piece of each half
	var hashing sync.WaitGroup
	defer hashing.Wait()
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
		hashing.Wait()
		s.total += int64(n)
		s.count.Store(s.total)
		if s.total > maxPieces*s.pieceLen {
			return &PieceLengthError{s.pieceLen, "gives more pieces than readers accept"}
		}
		data := buf[:n]
		buf, next = next, buf
		if s.b.layout.v1 {
			hashing.Go(func() {
				in1 = eachPiece(data, in1, s.pieceLen, func(p []byte, full bool) {
					v1.Write(p)
					if full {
						s.pieces = v1.Sum(s.pieces)
						v1.Reset()
					}
				})
			})
		}
		if s.b.layout.v2 {
			hashing.Go(func() {
				in2 = eachPiece(data, in2, s.pieceLen, s.addLeaves)
			})
		}
	}
	hashing.Wait()
	if s.b.layout.v1 && int64(len(s.pieces)/20)*s.pieceLen < s.total {
		s.pieces = v1.Sum(s.pieces)
	}
	if s.b.layout.v2 && int64(len(s.layer)/32)*s.pieceLen < s.total {
		h := s.tree.RootAt(merkle.Layer(s.pieceLen))
		s.layer = append(s.layer, h[:]...)
	}
	return nil
}

// eachPiece cuts data where pieces end. in is how much of the open piece was
// there before; what is open afterwards is returned.
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

// addLeaves adds the leaves of a run of a piece. Runs are whole leaves but at
// the end of the data, for buffers and pieces are.
func (s *stream) addLeaves(p []byte, full bool) {
	if s.tree.Len() == s.pieceLen/merkle.BlockSize {
		s.tree.Reset()
	}
	s.leaves = s.leaves[:0]
	for len(p) > 0 {
		n := min(len(p), merkle.BlockSize)
		s.leaves = append(s.leaves, p[:n])
		p = p[n:]
	}
	for len(s.hashes) < len(s.leaves) {
		s.hashes = append(s.hashes, [32]byte{})
	}
	hashing.SumSHA256(s.hashes, s.leaves)
	for k := range s.leaves {
		s.tree.Add(&s.hashes[k])
	}
	if full {
		h := s.tree.RootAt(merkle.Layer(s.pieceLen))
		s.layer = append(s.layer, h[:]...)
	}
}
