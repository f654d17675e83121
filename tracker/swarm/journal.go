package swarm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"

	"spate"
)

// A journal is entries of one size, in the order in which completions were
// counted. Each says what the counter of the swarm became and which peer it was
// for, so that the peer is known to be counted when it announces again: the
// snapshot may have it as a leecher, or not at all. Numbers are little-endian.
const (
	entryCompleted = 20                            // uint32; the info-hash comes first
	entryID        = entryCompleted + 4            // uint64: identity of the peer
	entryTime      = entryID + 8                   // int64: seconds since 1970
	entryList      = entryTime + 8                 // where the peer belongs: seed4 or seed6
	entryAddr      = entryList + 1                 // as on the wire, padded with zeros
	entrySum       = entryAddr + spate.CompactLen6 // CRC-32C of all before
	journalEntry   = entrySum + 4
)

// maxNoted bounds the completions that wait for Flush, in bytes.
const maxNoted = 1 << 20 / journalEntry * journalEntry

// ErrJournalFull is the error for completions that found too many others
// waiting for Flush. The next snapshot has them.
var ErrJournalFull = errors.New("swarm: too many completions wait for the disk")

// note remembers that the completions of a swarm have become n by the announce
// a. The caller holds the lock of the swarm's shard, so that the entries of a
// swarm are in the order of their counts.
func (s *Store) note(ih *spate.InfoHash, n uint32, a *announce) {
	var e [journalEntry]byte
	copy(e[:], ih[:])
	binary.LittleEndian.PutUint32(e[entryCompleted:], n)
	binary.LittleEndian.PutUint64(e[entryID:], a.id)
	binary.LittleEndian.PutUint64(e[entryTime:], uint64(s.opened.Unix()+int64(a.sec)-int64(s.openedSec)))
	e[entryList] = byte(a.six | listSeed)
	copy(e[entryAddr:], a.addr())
	binary.LittleEndian.PutUint32(e[entrySum:], crc32.Checksum(e[:entrySum], castagnoli))
	s.noting.Lock()
	defer s.noting.Unlock()
	if len(s.noted) >= maxNoted {
		s.missed = true
		return
	}
	s.noted = append(s.noted, e[:]...)
}

// Flush gives the completions that were counted to the system, which has them
// even if the process is killed the next moment. Whoever announces to the table
// calls it before it answers an announce whose Reply.Counted is set: then no
// completion that a peer was told of is forgotten. What an error lost is in the
// next snapshot.
func (s *Store) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flush()
}

// flush is Flush under mu.
func (s *Store) flush() error {
	s.noting.Lock()
	entries, missed := s.noted, s.missed
	s.noted, s.missed = s.spare[:0], false
	s.noting.Unlock()
	s.spare = entries
	if len(entries) == 0 {
		return nil
	}
	n, err := s.journal.Write(entries)
	switch {
	case err == nil:
		s.size += int64(n)
	case n > 0: // part of an entry would spoil those behind it
		err = errors.Join(err, s.journal.Truncate(s.size))
	}
	if err == nil && missed {
		return ErrJournalFull
	}
	return err
}

// replay restores what a journal says. Entries that are torn or damaged are
// passed over: they were never whole.
func (s *Store) replay(now time.Time, n uint64) error {
	f, err := os.Open(s.path(journalPrefix, n))
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		var e [journalEntry]byte
		if _, err := io.ReadFull(r, e[:]); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			return err
		}
		if crc32.Checksum(e[:entrySum], castagnoli) == binary.LittleEndian.Uint32(e[entrySum:]) {
			s.t.restoreCompletion(now, &e)
		}
	}
}

// restoreCompletion raises the counter of a swarm to what an entry says, and
// makes its peer a seed that was counted. A table that is full keeps what it has.
func (t *Table) restoreCompletion(now time.Time, e *[journalEntry]byte) {
	ih := spate.InfoHash(e[:])
	list := int(e[entryList])
	if t.SetCompleted(ih, binary.LittleEndian.Uint32(e[entryCompleted:])) != nil || list&^listSix != listSeed {
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
	at := time.Unix(int64(binary.LittleEndian.Uint64(e[entryTime:])), 0)
	if now.Round(0).Sub(at) > t.opt.Expire {
		return // as with a snapshot of that age, only the counter is kept
	}
	addr := e[entryAddr : entryAddr+strideOf(list)]
	rec := s.record(ri)
	if t.pinSet(rec).has(addr) {
		return
	}
	s.removeAddr(ri, list&^listSeed, addr)
	if s.hasRoom(rec) {
		s.insert(ri, list, addr, stampOf(sec), stampOf(sec), uint16(id)&metaTag|metaCounted)
	} else {
		s.refused++
	}
}
