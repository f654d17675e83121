package torrent

import (
	"crypto/sha1"
	"errors"

	"spate/internal/hashing"
	"spate/storage"
	"spate/torrent/internal/transport"
)

// lookAtOnce is how many pieces are checked together.
const lookAtOnce = 2

// looker checks pieces on disk, a few at a time. It belongs to one goroutine.
type looker struct {
	bufs    [lookAtOnce][]byte
	shared  []byte // what bufs are parts of, if it is from a free list
	digests [lookAtOnce]hashing.SHA1
}

// look reads and hashes up to lookAtOnce pieces and reports which are good. Data
// that is not there is not good; a disk that does not answer is an error.
func (l *looker) look(t *Torrent, few []int) (good [lookAtOnce]bool, err error) {
	var there [lookAtOnce]bool
	ds, ps := make([]*hashing.SHA1, 0, lookAtOnce), make([][]byte, 0, lookAtOnce)
	for j, i := range few {
		l.take(t, j)
		buf := l.bufs[j][:t.info.PieceSize(i)]
		err := t.s.onDisk(func() error {
			_, err := t.store.ReadAt(buf, int64(i)*t.info.PieceLength)
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
		v, e := t.judge(i, l.bufs[j][:t.info.PieceSize(i)], sum)
		good[j] = v.good
		if e != nil && err == nil {
			err = e
		}
	}
	return good, err
}

// take makes sure of the buffer for the j-th piece.
func (l *looker) take(t *Torrent, j int) {
	n := t.info.PieceLength
	switch {
	case l.bufs[j] != nil:
	case n*lookAtOnce <= transport.LargeRead:
		l.shared = t.s.buf.Large.Get()
		for k := range l.bufs {
			l.bufs[k] = l.shared[int64(k)*n:][:n]
		}
	default:
		l.bufs[j] = make([]byte, n)
	}
}

func (l *looker) release(b *transport.Buffers) {
	if l.shared != nil {
		b.Large.Put(l.shared)
	}
}
