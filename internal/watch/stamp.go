package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"time"

	"spate/internal/folder"
)

// stampOf returns what stands for an entry of the folder in, which info describes,
// and when it was last written to. Of a directory, hidden files count as well: they
// may be part of it.
func stampOf(in *folder.Folder, info fs.FileInfo) (stamp string, newest time.Time, err error) {
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
	if !info.IsDir() {
		add("", info)
		return hex.EncodeToString(h.Sum(nil)[:16]), newest, nil
	}
	err = in.Walk(info.Name(), func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if rel != "" {
			rel = string(filepath.Separator) + rel
		}
		if info.IsDir() {
			// Its time says when something came or went, which the entries say too;
			// but an empty one that is being filled is not settled.
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

// beingWritten reports whether some process has the entry that info describes, or a
// file in it, open for writing, as far as the system tells.
func beingWritten(in *folder.Folder, info fs.FileInfo) bool {
	if !info.IsDir() {
		return openForWriting(in, info.Name())
	}
	found := false
	in.Walk(info.Name(), func(in *folder.Folder, _ string, info fs.FileInfo, _ error) error {
		if info.Mode().IsRegular() && openForWriting(in, info.Name()) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}
