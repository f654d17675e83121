package metainfo

import (
	"fmt"
	"strconv"

	"spate"
	"spate/bencode"
)

// encodeInfo returns the encoded info dictionary.
func encodeInfo(i *Info) ([]byte, error) {
	if len(i.Files) == 0 {
		return nil, &Error{Field: "info.files", Offset: -1, Reason: "no files"}
	}
	if i.rawName() == "" {
		return nil, &Error{Field: "info.name", Offset: -1, Reason: "missing"}
	}
	single := i.Single()
	if single && len(i.Files) > 1 {
		return nil, &Error{Field: "info.files", Offset: -1, Reason: "more than one file, but the first has no path"}
	}
	b := bencode.AppendDict(nil)
	if a := i.Files[0].Attr; single && i.HasV1() && a != 0 {
		b = appendPair(b, "attr", a.String())
	}
	b = appendStrings(b, "collections", i.Collections)
	if i.HasV2() {
		var err error
		if b, err = appendTree(bencode.AppendString(b, "file tree"), i); err != nil {
			return nil, err
		}
	}
	if i.HasV1() && !single {
		b = appendFiles(bencode.AppendString(b, "files"), i)
	}
	if i.HasV1() && single {
		b = bencode.AppendInt(bencode.AppendString(b, "length"), i.Files[0].Length)
	}
	if i.HasV2() {
		b = bencode.AppendInt(bencode.AppendString(b, "meta version"), 2)
	}
	b = appendPair(b, "name", i.rawName())
	b = bencode.AppendInt(bencode.AppendString(b, "piece length"), i.PieceLength)
	if i.HasV1() {
		b = bencode.AppendString(bencode.AppendString(b, "pieces"), i.Pieces)
	}
	if i.Private {
		b = bencode.AppendInt(bencode.AppendString(b, "private"), 1)
	}
	b = appendSimilar(b, i.Similar)
	if i.Source != "" {
		b = appendPair(b, "source", i.Source)
	}
	return bencode.AppendEnd(b), nil
}

func (i *Info) rawName() string {
	if i.RawName != "" {
		return i.RawName
	}
	return i.Name
}

func appendPair[S ~string | ~[]byte](b []byte, key string, value S) []byte {
	return bencode.AppendString(bencode.AppendString(b, key), value)
}

// appendStrings appends key and a list of strings, or nothing if the list is empty.
func appendStrings(b []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = bencode.AppendString(b, key)
	return appendList(b, list)
}

func appendList(b []byte, list []string) []byte {
	b = bencode.AppendList(b)
	for _, s := range list {
		b = bencode.AppendString(b, s)
	}
	return bencode.AppendEnd(b)
}

func appendSimilar(b []byte, list []spate.InfoHash) []byte {
	if len(list) == 0 {
		return b
	}
	b = bencode.AppendString(b, "similar")
	b = bencode.AppendList(b)
	for _, h := range list {
		b = bencode.AppendString(b, h[:])
	}
	return bencode.AppendEnd(b)
}

// appendFiles appends the v1 file list.
func appendFiles(b []byte, i *Info) []byte {
	b = bencode.AppendList(b)
	for k := range i.Files {
		f := &i.Files[k]
		b = bencode.AppendDict(b)
		if f.Attr != 0 {
			b = appendPair(b, "attr", f.Attr.String())
		}
		b = bencode.AppendInt(bencode.AppendString(b, "length"), f.Length)
		path := f.Path
		if f.Pad() && len(path) == 0 {
			path = []string{".pad", strconv.FormatInt(f.Length, 10)}
		}
		b = appendList(bencode.AppendString(b, "path"), path)
		if f.Symlink != nil {
			b = appendStrings(b, "symlink path", f.Symlink.Target)
		}
		b = bencode.AppendEnd(b)
	}
	return bencode.AppendEnd(b)
}

// appendTree appends the v2 file tree. The files must be in the order of the tree.
func appendTree(b []byte, i *Info) ([]byte, error) {
	b = bencode.AppendDict(b)
	var last []string
	for k := range i.Files {
		f := &i.Files[k]
		if f.Pad() {
			continue
		}
		path := f.Path
		if path == nil {
			path = []string{i.rawName()}
		}
		same := 0
		for same < len(path) && same < len(last) && path[same] == last[same] {
			same++
		}
		if len(path) == 0 || last != nil && (same == len(path) || same == len(last) || path[same] < last[same]) {
			return nil, &Error{
				Field: fmt.Sprintf("info.files[%d].path", k), Offset: -1,
				Reason: fmt.Sprintf("%q does not follow the previous file in the order of the file tree", f.DisplayPath()),
			}
		}
		for range max(len(last)-same-1, 0) {
			b = bencode.AppendEnd(b) // end the directories that do not contain this file
		}
		for _, part := range path[same : len(path)-1] {
			b = bencode.AppendDict(bencode.AppendString(b, part))
		}
		b = bencode.AppendDict(bencode.AppendString(b, path[len(path)-1]))
		b = appendFileEntry(bencode.AppendString(b, ""), f)
		b = bencode.AppendEnd(b)
		last = path
	}
	for range max(len(last)-1, 0) {
		b = bencode.AppendEnd(b)
	}
	return bencode.AppendEnd(b), nil
}

// appendFileEntry appends the properties of a file in the file tree.
func appendFileEntry(b []byte, f *File) []byte {
	b = bencode.AppendDict(b)
	if f.Attr != 0 {
		b = appendPair(b, "attr", f.Attr.String())
	}
	b = bencode.AppendInt(bencode.AppendString(b, "length"), f.Length)
	if f.PiecesRoot != nil && f.Length > 0 {
		b = appendPair(b, "pieces root", f.PiecesRoot[:])
	}
	if f.Symlink != nil {
		b = appendStrings(b, "symlink path", f.Symlink.Target)
	}
	return bencode.AppendEnd(b)
}
