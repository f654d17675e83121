package swarm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"spate"
)

// A snapshot is a magic, then frames: length and CRC-32C of the payload, both
// uint32, then the payload. The first payload is the head, the last is empty;
// those between are items: a kind, an info-hash, a number as a varint, and for
// the kinds that are lists as many addresses, ages and metas, as in a block.
// Numbers of fixed size are little-endian.
const (
	snapMagic = "spate swarm 1\n"
	snapHead  = 8 + 8 + 8 // seconds since 1970, the two keys of identities
	// snapFrame is the size from which on a frame is written; maxFrame is what a
	// reader accepts: that, and what one more hold of a lock can add.
	snapFrame = 64 << 10
	maxFrame  = snapFrame + (walkHold+maxBlock)*64

	itemCompleted = numLists // an item's kind is a list, or this
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SnapshotError says that a snapshot cannot be read, and why.
type SnapshotError struct {
	// Offset is where the damage was noticed, in bytes from the start.
	Offset int64
	Reason string
}

func (e *SnapshotError) Error() string {
	return fmt.Sprintf("swarm snapshot: at byte %d: %s", e.Offset, e.Reason)
}

// Snapshot writes everything that the table remembers to w; [Table.Restore]
// reads it. Announces go on meanwhile: no lock is held for longer than it takes
// to copy a thousand entries, and each list is as it was at one moment of the
// call. Pins and protection are not in it.
func (t *Table) Snapshot(now time.Time, w io.Writer) error {
	bw := bufio.NewWriterSize(w, snapFrame)
	bw.WriteString(snapMagic)
	id := t.ident.Load()
	buf := make([]byte, 0, maxFrame)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(now.Unix()))
	buf = binary.LittleEndian.AppendUint64(buf, id.k0)
	buf = binary.LittleEndian.AppendUint64(buf, id.k1)
	buf = writeFrame(bw, buf)
	stamp := stampOf(t.seconds(now))
	for i := range t.shards {
		s := &t.shards[i]
		for c, done := (cursor{}), false; !done; {
			s.mu.Lock()
			done = s.walk(&c, func(_ uint32, rec record, list, bucket int) {
				b := s.block(rec, list, bucket)
				buf = appendItem(buf, rec, list, &b, stamp)
			}, func(_ uint32, rec record) {
				if n := rec.completed(); n > 0 {
					buf = appendItemHead(buf, rec, itemCompleted, uint64(n))
				}
			})
			s.mu.Unlock()
			if len(buf) >= snapFrame {
				buf = writeFrame(bw, buf)
			}
		}
	}
	if len(buf) > 0 {
		buf = writeFrame(bw, buf)
	}
	writeFrame(bw, buf)
	return bw.Flush()
}

// writeFrame writes buf and returns it empty. bw keeps the error.
func writeFrame(bw *bufio.Writer, buf []byte) []byte {
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(buf)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(buf, castagnoli))
	bw.Write(head[:])
	bw.Write(buf)
	return buf[:0]
}

func appendItemHead(buf []byte, rec record, kind int, n uint64) []byte {
	buf = append(buf, byte(kind))
	buf = append(buf, rec.hash()[:]...)
	return binary.AppendUvarint(buf, n)
}

func appendItem(buf []byte, rec record, list int, b *block, now uint16) []byte {
	if b.n == 0 {
		return buf
	}
	buf = appendItemHead(buf, rec, list, uint64(b.n))
	buf = append(buf, b.mem[:b.n*b.stride]...)
	for i := range b.n {
		buf = binary.LittleEndian.AppendUint16(buf, uint16(age(now, b.stamp(i))))
	}
	return append(buf, b.mem[b.metaAt(0):b.metaAt(b.n)]...)
}

// Restore adds what a snapshot remembers, as far as the caps allow. The time
// between the two does not age the peers, up to Options.Expire; after a longer
// one only counters are kept. The identities of peers are known again if the
// table had none yet. A snapshot that is damaged is a [*SnapshotError], and
// leaves the table with what came before the damage.
func (t *Table) Restore(now time.Time, r io.Reader) error {
	rd := &snapReader{r: bufio.NewReaderSize(r, snapFrame), buf: make([]byte, maxFrame)}
	magic := make([]byte, len(snapMagic))
	if _, err := io.ReadFull(rd.r, magic); err != nil || string(magic) != snapMagic {
		return rd.fail(err, "not a snapshot of this version")
	}
	rd.off = int64(len(snapMagic))
	head, err := rd.frame()
	if err != nil {
		return err
	}
	if len(head) != snapHead {
		return rd.fail(nil, "bad head")
	}
	saved := time.Unix(int64(binary.LittleEndian.Uint64(head)), 0)
	peers := now.Round(0).Sub(saved) <= t.opt.Expire
	if t.peers.Load() == 0 {
		t.ident.Store(&keys{binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])})
	}
	for {
		p, err := rd.frame()
		if err != nil {
			return err
		}
		if len(p) == 0 {
			return nil
		}
		for len(p) > 0 {
			p = t.restoreItem(t.seconds(now), p, peers)
			if p == nil {
				return rd.fail(nil, "bad item")
			}
		}
	}
}

// snapReader reads frames.
type snapReader struct {
	r   *bufio.Reader
	buf []byte
	off int64 // of the frame that is read
}

// fail is the error for damage in the frame at hand; a cause other than the end
// of the file is returned as it is.
func (rd *snapReader) fail(err error, reason string) error {
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("swarm snapshot: %w", err)
	}
	return &SnapshotError{Offset: rd.off, Reason: reason}
}

// frame returns the payload of the next frame, valid until the call after.
func (rd *snapReader) frame() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(rd.r, head[:]); err != nil {
		return nil, rd.fail(err, "it ends too early")
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, rd.fail(nil, "a frame is too long")
	}
	p := rd.buf[:n]
	if _, err := io.ReadFull(rd.r, p); err != nil {
		return nil, rd.fail(err, "it ends too early")
	}
	if crc32.Checksum(p, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, rd.fail(nil, "wrong checksum")
	}
	rd.off += int64(len(head)) + int64(n)
	return p, nil
}

// restoreItem restores the first item of p and returns the rest, not nil; nil
// for an item that makes no sense.
func (t *Table) restoreItem(sec uint32, p []byte, peers bool) []byte {
	if len(p) < 21 {
		return nil
	}
	kind, ih := int(p[0]), spate.InfoHash(p[1:21])
	n, used := binary.Uvarint(p[21:])
	if used <= 0 {
		return nil
	}
	p = p[21+used:]
	if kind == itemCompleted {
		if n == 0 || n > 1<<32-1 {
			return nil
		}
		_ = t.SetCompleted(ih, uint32(n)) // a table that is full keeps what it has
		return p
	}
	if kind > itemCompleted || n == 0 || n > maxBlock || len(p) < int(n)*entrySize(kind) {
		return nil
	}
	size := int(n) * entrySize(kind)
	if peers {
		b := block{mem: p[:size], n: int(n), cap: int(n), stride: strideOf(kind)}
		s, h := t.shard(&ih)
		s.mu.Lock()
		s.restore(&ih, h, kind, &b, sec)
		s.mu.Unlock()
	}
	return p[size:]
}

// restore adds the entries of b, whose stamps are ages, to a list; those that
// are there already stay as they are.
func (s *shard) restore(ih *spate.InfoHash, h uint64, list int, b *block, sec uint32) {
	ri, ok := s.lookup(ih, h)
	if !ok {
		if !s.roomForSwarm(sec, false) {
			s.refused += uint64(b.n)
			return
		}
		ri = s.create(ih, h)
		s.record(ri).setTouched(sec)
	}
	rec, now := s.record(ri), stampOf(sec)
	for i := range b.n {
		a, old := b.addr(i), int(b.stamp(i))
		if old > s.t.expire || s.knows(rec, list, a) {
			continue
		}
		if !s.hasRoom(rec) {
			s.refused++
			continue
		}
		s.insert(ri, list, a, now, now-uint16(old), b.meta(i))
	}
	if rec.forgettable() {
		s.forget(ri)
	}
}

// hasRoom reports whether one more entry fits without another going.
func (s *shard) hasRoom(rec record) bool {
	return rec.peers() < s.t.opt.MaxPerSwarm && s.t.peers.Load() < int64(s.t.opt.MaxPeers) && !s.t.overMemory()
}

// knows reports whether the address a is in the swarm: in list, or in the other
// list of its family, or pinned.
func (s *shard) knows(rec record, list int, a []byte) bool {
	for _, l := range [2]int{list, list ^ listSeed} {
		if rec.n(l) == 0 {
			continue
		}
		b := s.block(rec, l, s.bucketOf(rec, l, a))
		if at, _, _ := b.find(a, 0); at >= 0 {
			return true
		}
	}
	return s.t.pinSet(rec).has(a)
}
