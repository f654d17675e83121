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

// A snapshot consists of a magic and frames. A frame has the length and the CRC-32C of
// its payload, both uint32, and the payload. The first payload is the head, and the
// last one is empty. The other payloads contain items: a kind, an info-hash and a number as
// varint. If the kind is a list, the number counts the addresses, ages and metas that follow
// as in a block. Numbers of fixed size are little-endian.
const (
	snapMagic = "spate swarm 2\n"
	// oldMagic is the magic of a snapshot whose tags of identities have a bit more, so that no
	// entry has the mark metaSecond.
	oldMagic = "spate swarm 1\n"
	snapHead = 8 + 8 + 8 // time in seconds since 1970, and the two keys of the identities
	// A frame is written when it has at least snapFrame bytes. maxFrame is the maximum that
	// a reader accepts: snapFrame plus the bytes that are added while a lock is held once.
	snapFrame = 64 << 10
	maxFrame  = snapFrame + (walkHold+maxBlock)*64

	itemCompleted = numLists // the kind of an item is the number of a list, or this
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SnapshotError is returned for a snapshot that is damaged.
type SnapshotError struct {
	// Offset is the offset in bytes at which the damage was detected.
	Offset int64
	Reason string
}

func (e *SnapshotError) Error() string {
	return fmt.Sprintf("swarm snapshot: at byte %d: %s", e.Offset, e.Reason)
}

// Snapshot writes the content of the table to w, from where [Table.Restore] can read
// it. Announces continue in the meantime: each lock is held only while a thousand
// entries are copied. The snapshot therefore does not show one moment: parts of it are
// older than others. Pins and protection are not written.
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

// writeFrame writes a frame with the payload buf, and returns buf emptied. bw keeps the
// error.
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

// Restore adds the content of a snapshot, up to the limits of the table. The peers do
// not age between Snapshot and Restore unless more time than Options.Expire has passed;
// then only counters are restored. If the table was empty, the identities of the peers
// stay valid. If the snapshot is damaged the error is a [*SnapshotError], and the table
// has the content before the damage.
func (t *Table) Restore(now time.Time, r io.Reader) error {
	rd := &snapReader{r: bufio.NewReaderSize(r, snapFrame), buf: make([]byte, maxFrame)}
	magic := make([]byte, len(snapMagic))
	_, err := io.ReadFull(rd.r, magic)
	if err != nil || string(magic) != snapMagic && string(magic) != oldMagic {
		return rd.fail(err, "unknown format")
	}
	keep := ^uint16(0) // bits of the metas
	if string(magic) == oldMagic {
		keep = ^uint16(metaSecond)
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
			p = t.restoreItem(t.seconds(now), p, peers, keep)
			if p == nil {
				return rd.fail(nil, "bad item")
			}
		}
	}
}

// snapReader reads the frames of a snapshot.
type snapReader struct {
	r   *bufio.Reader
	buf []byte
	off int64 // offset of the current frame
}

// fail returns the error for damage in the current frame, or err if it is not an
// unexpected end of the file.
func (rd *snapReader) fail(err error, reason string) error {
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("swarm snapshot: %w", err)
	}
	return &SnapshotError{Offset: rd.off, Reason: reason}
}

// frame returns the payload of the next frame. It is valid until the next call.
func (rd *snapReader) frame() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(rd.r, head[:]); err != nil {
		return nil, rd.fail(err, "unexpected end")
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, rd.fail(nil, "frame is too long")
	}
	p := rd.buf[:n]
	if _, err := io.ReadFull(rd.r, p); err != nil {
		return nil, rd.fail(err, "unexpected end")
	}
	if crc32.Checksum(p, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, rd.fail(nil, "wrong checksum")
	}
	rd.off += int64(len(head)) + int64(n)
	return p, nil
}

// restoreItem restores the first item of p and returns the rest, which is not nil. It keeps
// only the bits in keep of the metas. It returns nil if the item is malformed.
func (t *Table) restoreItem(sec uint32, p []byte, peers bool, keep uint16) []byte {
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
		_ = t.SetCompleted(ih, uint32(n)) // if the table is full the counter is lost
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
		s.restore(&ih, h, kind, &b, sec, keep)
		s.mu.Unlock()
	}
	return p[size:]
}

// restore adds the entries of b, whose stamps are ages, to a list. Entries that exist
// are not changed.
func (s *shard) restore(ih *spate.InfoHash, h uint64, list int, b *block, sec uint32, keep uint16) {
	ri, ok := s.lookup(ih, h)
	if !ok {
		if !s.reserveSwarm(sec, false) {
			s.refused += uint64(b.n)
			return
		}
		ri = s.create(ih, h)
		s.record(ri).setTouched(sec)
	}
	rec, now := s.record(ri), stampOf(sec)
	for i := range b.n {
		a, old := b.addr(i), int(b.stamp(i))
		if old > s.t.expire || s.contains(rec, list, a) {
			continue
		}
		if !s.hasSpace(rec) {
			s.refused++
			continue
		}
		s.insert(ri, list, a, now, now-uint16(old), b.meta(i)&keep)
	}
	if rec.forgettable() {
		s.forget(ri)
	}
}

// hasSpace reports whether an entry can be added without evicting another one.
func (s *shard) hasSpace(rec record) bool {
	return rec.entries() < s.t.opt.MaxPerSwarm && s.t.peers.Load() < int64(s.t.opt.MaxPeers) && !s.t.overMemory()
}

// contains reports whether the address a is in list, in the other list of its address
// family, or pinned.
func (s *shard) contains(rec record, list int, a []byte) bool {
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
