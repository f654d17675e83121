package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"time"

	"spate"
	"spate/internal/atomicfile"
)

// Note is the entry of a complete torrent in the ledger. It has only the fields of a
// [Record] that a complete torrent needs, so that the entries of 100,000 torrents can be
// written at once.
type Note struct {
	InfoHash   spate.InfoHash
	Stamp      uint64    // state of the files when all pieces were verified, see [Stamp]
	Uploaded   int64     // in bytes, since the torrent was added
	Downloaded int64     // in bytes, since the torrent was added
	Added      time.Time // in whole seconds
}

// Stamp returns a hash of the states of files. The hash changes if any of the states
// changes. It is never 0. Its upper half does not depend on inodes and change times.
func Stamp(files []FileStat) uint64 {
	content, rest := fnv.New64a(), fnv.New64a()
	var b [17]byte
	for _, f := range files {
		b[16] = byte(flag(f.Exists, flagExists))
		binary.BigEndian.PutUint64(b[:], uint64(f.Size))
		binary.BigEndian.PutUint64(b[8:], uint64(f.ModTime))
		content.Write(b[:])
		binary.BigEndian.PutUint64(b[:], f.Inode)
		binary.BigEndian.PutUint64(b[8:], uint64(f.Change))
		rest.Write(b[:16])
	}
	return max(content.Sum64()>>32<<32|rest.Sum64()>>32, 1)
}

// StampTouched reports whether stamps of the same files differ only in inodes and change times,
// see [FileStat.Touched].
func StampTouched(was, now uint64) bool { return was != now && was>>32 == now>>32 }

// The ledger file consists of ledgerMagic, noteSize bytes for each note, and the
// SHA-256 of both.
const (
	ledgerName  = "whole.ledger"
	ledgerMagic = "spate ledger 1\n"
	noteSize    = 20 + 4*8
	maxLedger   = 1 << 30
)

// SaveLedger atomically replaces the ledger in directory dir, which must exist, with
// the given notes.
func SaveLedger(dir string, notes []Note) error {
	b := make([]byte, 0, len(ledgerMagic)+len(notes)*noteSize+sha256.Size)
	b = append(b, ledgerMagic...)
	for i := range notes {
		n := &notes[i]
		b = append(b, n.InfoHash[:]...)
		b = binary.BigEndian.AppendUint64(b, n.Stamp)
		b = binary.BigEndian.AppendUint64(b, uint64(n.Uploaded))
		b = binary.BigEndian.AppendUint64(b, uint64(n.Downloaded))
		b = binary.BigEndian.AppendUint64(b, uint64(n.Added.Unix()))
	}
	sum := sha256.Sum256(b)
	path := filepath.Join(dir, ledgerName)
	err := writeSynced(path+".tmp", append(b, sum[:]...))
	if err == nil {
		err = rename(path+".tmp", path)
	}
	if err == nil {
		err = atomicfile.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("save the ledger: %w", err)
	}
	return nil
}

// LoadLedger reads the ledger in dir. It returns no notes if there is none. If the
// ledger is damaged, LoadLedger renames it and returns a [*CorruptError]; the data must
// then be checked.
func LoadLedger(dir string) ([]Note, error) {
	path := filepath.Join(dir, ledgerName)
	var notes []Note
	err := atomicfile.Load(path, maxLedger, func(b []byte) (err error) {
		notes, err = decodeLedger(b)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, corrupt(err, "load the ledger")
	}
	return notes, nil
}

// decodeLedger decodes a ledger. It allocates memory in proportion to the length of b.
func decodeLedger(b []byte) ([]Note, error) {
	body, ok := bytes.CutPrefix(b, []byte(ledgerMagic))
	n := len(body) - sha256.Size
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: unknown format", errRecord)
	case len(b) > maxLedger || n < 0 || n%noteSize != 0:
		return nil, fmt.Errorf("%w: wrong length", errRecord)
	case sha256.Sum256(b[:len(b)-sha256.Size]) != [sha256.Size]byte(body[n:]):
		return nil, fmt.Errorf("%w: wrong checksum", errRecord)
	}
	notes := make([]Note, n/noteSize)
	for i := range notes {
		p := body[i*noteSize:]
		notes[i] = Note{
			InfoHash: spate.InfoHash(p[:20]), Stamp: binary.BigEndian.Uint64(p[20:]),
			Uploaded: int64(binary.BigEndian.Uint64(p[28:])), Downloaded: int64(binary.BigEndian.Uint64(p[36:])),
			Added: time.Unix(int64(binary.BigEndian.Uint64(p[44:])), 0),
		}
	}
	return notes, nil
}
