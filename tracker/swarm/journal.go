package swarm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"spate"
	"spate/internal/folder"
)

// A journal consists of entries of fixed size in the order in which completions were
// counted. Each entry has the new counter of the swarm and the peer that completed. The
// peer is needed so that its completion is not counted again at its next announce,
// because the snapshot may list it as a leecher or not at all. Numbers are
// little-endian.
const (
	entryCompleted = 20                            // uint32; after the info-hash
	entryID        = entryCompleted + 4            // uint64: identity of the peer
	entryTime      = entryID + 8                   // int64: seconds since 1970
	entryList      = entryTime + 8                 // list of the peer: seed4 or seed6
	entryAddr      = entryList + 1                 // compact address, padded with zeros
	entrySum       = entryAddr + spate.CompactLen6 // CRC-32C of the bytes before it
	journalEntry   = entrySum + 4
)

// noAddr in place of the list means that the peer has no address, see Sockets. Only the
// counter is restored.
const noAddr = 0xff

// maxPending limits the size in bytes of the entries that wait for Flush.
const maxPending = 1 << 20 / journalEntry * journalEntry

// ErrJournalFull is returned by [Dir.Flush] if too many completions were waiting, so
// that some are not in the journal. They will be in the next snapshot.
var ErrJournalFull = errors.New("swarm: too many completions wait for the disk")

// append adds an entry for the announce a, after which the swarm has n completions. The
// caller holds the lock of the swarm's shard, so that the entries of a swarm are in the
// order of their counters.
func (d *Dir) append(ih *spate.InfoHash, n uint32, a *announce) {
	var e [journalEntry]byte
	copy(e[:], ih[:])
	binary.LittleEndian.PutUint32(e[entryCompleted:], n)
	binary.LittleEndian.PutUint64(e[entryID:], a.id)
	binary.LittleEndian.PutUint64(e[entryTime:], uint64(d.opened.Unix()+int64(a.sec)-int64(d.openedSec)))
	e[entryList] = byte(a.six | listSeed)
	if a.size == 0 {
		e[entryList] = noAddr
	}
	copy(e[entryAddr:], a.addr())
	binary.LittleEndian.PutUint32(e[entrySum:], crc32.Checksum(e[:entrySum], castagnoli))
	d.pendingMu.Lock()
	defer d.pendingMu.Unlock()
	if len(d.pending) >= maxPending {
		d.missed = true
		return
	}
	d.pending = append(d.pending, e[:]...)
}

// Flush writes the counted completions to the journal file, so that they survive if the
// process is killed. A tracker calls it before it answers an announce whose
// Reply.Counted is set; then no completion that was in a reply is lost.
// Completions that an error has lost are in the next snapshot.
func (d *Dir) Flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flush()
}

// flush is like Flush. The caller holds mu.
func (d *Dir) flush() error {
	d.pendingMu.Lock()
	entries, missed := d.pending, d.missed
	d.pending, d.missed = d.spare[:0], false
	d.pendingMu.Unlock()
	d.spare = entries
	if len(entries) == 0 {
		return nil
	}
	n, err := d.journal.Write(entries)
	switch {
	case err == nil:
		d.size += int64(n)
	case n > 0: // remove the partial entry, which would damage those after it
		err = errors.Join(err, d.journal.Truncate(d.size))
	}
	if err == nil && missed {
		return ErrJournalFull
	}
	return err
}

// replay restores the completions in a journal. It skips and counts damaged entries. An
// incomplete entry at the end does not count, because it was never flushed.
func (d *Dir) replay(now time.Time, n uint64) (bad int, err error) {
	f, err := folder.OpenNamed(d.file(journalPrefix, n))
	var noFile *folder.TypeError
	if errors.As(err, &noFile) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		var e [journalEntry]byte
		if _, err := io.ReadFull(r, e[:]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return bad, nil
			}
			return bad, err
		}
		if crc32.Checksum(e[:entrySum], castagnoli) == binary.LittleEndian.Uint32(e[entrySum:]) {
			d.t.restoreCompletion(now, &e)
		} else {
			bad++
		}
	}
}

// restoreCompletion raises the counter of a swarm to that of an entry, and adds the
// peer as a seed whose completion was counted. It evicts nothing if the table is full.
func (t *Table) restoreCompletion(now time.Time, e *[journalEntry]byte) {
	ih := spate.InfoHash(e[:])
	list := int(e[entryList])
	if t.SetCompleted(ih, binary.LittleEndian.Uint32(e[entryCompleted:])) != nil || list&^listSix != listSeed && list != noAddr {
		return
	}
	sec := t.seconds(now)
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return
	}
	id := binary.LittleEndian.Uint64(e[entryID:])
	s.remember(id ^ h)
	if list == noAddr {
		return
	}
	at := time.Unix(int64(binary.LittleEndian.Uint64(e[entryTime:])), 0)
	if now.Round(0).Sub(at) > t.opt.Expire {
		return // an entry of that age restores only the counter, as a snapshot does
	}
	addr := e[entryAddr : entryAddr+strideOf(list)]
	rec := s.record(ri)
	if t.pinSet(rec).has(addr) {
		return
	}
	s.removeAddr(ri, list&^listSeed, addr)
	if s.hasSpace(rec) {
		s.insert(ri, list, addr, stampOf(sec), stampOf(sec), uint16(id)&metaTag|metaCounted)
	} else {
		s.refused++
	}
}
