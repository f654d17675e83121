package torrent

import (
	"crypto/sha1"
	"errors"

	"spate/internal/hashing"
	"spate/storage"
	"spate/torrent/internal/transport"
)

// checkedTogether is the number of pieces that a pieceChecker hashes together.
const checkedTogether = 2

// pieceChecker reads pieces from the disk and checks their hashes. It is not safe for
// concurrent use.
type pieceChecker struct {
	bufs    [checkedTogether][]byte
	shared  []byte // the memory of bufs if it comes from a free list; else nil
	digests [checkedTogether]hashing.SHA1
}

// check reads and hashes up to checkedTogether pieces and reports which of them are good. A
// piece with missing data is bad. check returns an error if the disk fails.
func (l *pieceChecker) check(t *Torrent, few []int) (good [checkedTogether]bool, err error) {
	var there [checkedTogether]bool
	ds, ps := make([]*hashing.SHA1, 0, checkedTogether), make([][]byte, 0, checkedTogether)
	for j, i := range few {
		l.takeBuffer(t, j)
		buf := l.bufs[j][:t.info.PieceSize(i)]
		err := t.s.onDisk(func() error {
			_, err := t.data.store.ReadAt(buf, int64(i)*t.info.PieceLength)
			return err
		})
		switch {
		case err == nil:
			there[j] = true
			l.digests[j].Reset()
			ds, ps = append(ds, &l.digests[j]), append(ps, buf)
		case !errors.Is(err, storage.ErrMissing) && !errors.Is(err, storage.ErrRange):
			return good, err
		}
	}
	if t.info.HasV1() {
		hashing.WriteSHA1(ds, ps)
	}
	for j, i := range few {
		if !there[j] {
			continue
		}
		var sum [sha1.Size]byte
		if t.info.HasV1() {
			sum = l.digests[j].Sum()
		}
		v, e := t.verifyPiece(i, l.bufs[j][:t.info.PieceSize(i)], sum)
		good[j] = v.good
		if e != nil && err == nil {
			err = e
		}
	}
	return good, err
}

// takeBuffer makes bufs[j] long enough for one piece.
func (l *pieceChecker) takeBuffer(t *Torrent, j int) {
	n := t.info.PieceLength
	switch {
	case l.bufs[j] != nil:
	case n*checkedTogether <= transport.LargeRead:
		l.shared = t.s.buf.Large.Get()
		for k := range l.bufs {
			l.bufs[k] = l.shared[int64(k)*n:][:n]
		}
	default:
		l.bufs[j] = make([]byte, n)
	}
}

func (l *pieceChecker) release(b *transport.Buffers) {
	if l.shared != nil {
		b.Large.Put(l.shared)
	}
}
