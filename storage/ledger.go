package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"spate"
)

// Note is what a ledger remembers of one torrent that was whole: a [Record] that
// is small enough to be written for a hundred thousand torrents at a time.
type Note struct {
	InfoHash   spate.InfoHash
	Stamp      uint64    // of the files when every piece was verified, see [Stamp]
	Uploaded   int64     // bytes, since the torrent was added
	Downloaded int64     // bytes, since the torrent was added
	Added      time.Time // to the second
}

// Stamp sums up what files are, so that a change of any shows. It is never 0.
func Stamp(files []FileStat) uint64 {
	h := fnv.New64a()
	var b [25]byte
	for _, f := range files {
		b[24] = byte(flag(f.Exists, flagExists))
		binary.BigEndian.PutUint64(b[:], uint64(f.Size))
		binary.BigEndian.PutUint64(b[8:], uint64(f.ModTime))
		binary.BigEndian.PutUint64(b[16:], f.Inode)
		h.Write(b[:])
	}
	return max(h.Sum64(), 1)
}

// A ledger on disk: ledgerMagic, the notes in noteSize bytes each, and the
// SHA-256 of all that.
const (
	ledgerName  = "whole.ledger"
	ledgerMagic = "spate ledger 1\n"
	noteSize    = 20 + 4*8
	maxLedger   = 1 << 30
)

// SaveLedger writes the notes into the directory dir, which must exist, in place
// of those that were there. A crash leaves either.
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
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncNames(dir)
	}
	if err != nil {
		return fmt.Errorf("save the ledger: %w", err)
	}
	return nil
}

// syncNames makes renames in dir last.
func syncNames(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}

// LoadLedger reads the notes in dir; there are none without a ledger. A damaged
// one is set aside, and the error is a [*CorruptError]: the data has to be checked.
func LoadLedger(dir string) ([]Note, error) {
	path := filepath.Join(dir, ledgerName)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the ledger: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLedger+1))
	if err != nil {
		return nil, fmt.Errorf("load the ledger: %w", err)
	}
	notes, err := decodeLedger(b)
	if err != nil {
		corrupt := &CorruptError{Path: path, Aside: path + resumeCorrupt, Err: err}
		if err := os.Rename(path, corrupt.Aside); err != nil {
			return nil, fmt.Errorf("set the damaged ledger aside: %w", err)
		}
		return nil, corrupt
	}
	return notes, nil
}

// decodeLedger reads a ledger. It allocates in proportion to b.
func decodeLedger(b []byte) ([]Note, error) {
	body, ok := bytes.CutPrefix(b, []byte(ledgerMagic))
	n := len(body) - sha256.Size
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: not in the format of this version", errRecord)
	case len(b) > maxLedger || n < 0 || n%noteSize != 0:
		return nil, fmt.Errorf("%w: not of the right length", errRecord)
	case sha256.Sum256(b[:len(b)-sha256.Size]) != [sha256.Size]byte(body[n:]):
		return nil, fmt.Errorf("%w: checksum differs", errRecord)
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
