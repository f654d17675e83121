package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stampOf returns what stands for an entry, and when it was last written to. Of
// a directory, hidden files count as well: they may be part of it.
func stampOf(path string, e fs.DirEntry) (stamp string, newest time.Time, err error) {
	h := sha256.New()
	add := func(name string, info fs.FileInfo) {
		var b [25]byte
		binary.BigEndian.PutUint64(b[0:], uint64(info.Size()))
		binary.BigEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
		binary.BigEndian.PutUint64(b[16:], inode(info))
		h.Write([]byte(name))
		h.Write(b[:]) // its last byte ends the entry
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if !e.IsDir() {
		info, err := os.Lstat(path)
		if err != nil {
			return "", newest, err
		}
		add("", info)
		return hex.EncodeToString(h.Sum(nil)[:16]), newest, nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Its time says when something came or went, which the entries say too;
			// but an empty one that is being filled is not settled.
			if info.ModTime().After(newest) {
				newest = info.ModTime()
			}
			h.Write([]byte(p[len(path):] + "/\x00"))
			return nil
		}
		add(p[len(path):]+"\x00", info)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:16]), newest, err
}

// beingWritten reports whether some process has the entry, or a file in it, open
// for writing, as far as the system tells.
func beingWritten(path string, e fs.DirEntry) bool {
	if !e.IsDir() {
		return openForWriting(path)
	}
	found := false
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && openForWriting(p) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}
