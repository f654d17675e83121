package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"time"

	"spate/internal/filestat"
	"spate/internal/folder"
)

// stampOf returns the stamp of the entry name of the folder in, which info describes, and the
// time of its last change. The stamp of a directory includes its hidden files, because they may
// be part of the release.
func stampOf(in *folder.Folder, name string, info fs.FileInfo) (stamp string, newest time.Time, err error) {
	h := sha256.New()
	add := func(name string, info fs.FileInfo) {
		var b [25]byte
		binary.BigEndian.PutUint64(b[0:], uint64(info.Size()))
		binary.BigEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
		binary.BigEndian.PutUint64(b[16:], filestat.Inode(info))
		h.Write([]byte(name))
		h.Write(b[:]) // the last byte, 0, separates entries
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if !info.IsDir() {
		add("", info)
		return hex.EncodeToString(h.Sum(nil)[:16]), newest, nil
	}
	err = in.Walk(name, func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if rel != "" {
			rel = string(filepath.Separator) + rel
		}
		if info.IsDir() {
			// The stamp omits the time of a directory, because it contains all its entries.
			// But a directory with a recent time may be incomplete.
			if info.ModTime().After(newest) {
				newest = info.ModTime()
			}
			h.Write([]byte(rel + "/\x00"))
			return nil
		}
		add(rel+"\x00", info)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:16]), newest, err
}

// writersOf reports whether a process has the entry name, which info describes, or a file in
// it, open for writing.
func writersOf(in *folder.Folder, name string, info fs.FileInfo) (found writers) {
	if !info.IsDir() {
		return fileWriters(in, name)
	}
	found = noWriters
	in.Walk(name, func(in *folder.Folder, _ string, info fs.FileInfo, _ error) error {
		if !info.Mode().IsRegular() {
			return nil
		}
		switch fileWriters(in, info.Name()) {
		case someWriters:
			found = someWriters
			return fs.SkipAll
		case unknownWriters:
			found = unknownWriters
		}
		return nil
	})
	return found
}
