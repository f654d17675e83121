package site

import (
	"encoding/binary"
	"sort"
	"time"

	"spate/publish"
)

// Sizes of the records of a zip archive (APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16), in bytes.
const (
	zipLocalSize      = 30 // without the name and the extra field
	zipLocalExtra     = 20 // zip64: header, two sizes
	zipDescriptor     = 16
	zipDescriptor64   = 24
	zipCentralSize    = 46 // without the name and the extra field
	zipEnd64Size      = 56
	zipLocator64Size  = 20
	zipEndSize        = 22
	zipMax32          = 1<<32 - 1
	zipMax16          = 1<<16 - 1
	zipMaxName        = 1<<16 - 1
	zipVersion        = 45             // the version that has zip64
	zipMadeBy         = 3<<8 | 45      // Unix, so that the permissions below count
	zipFlags          = 1<<3 | 1<<11   // a descriptor follows the data; names are UTF-8
	zipPermissions    = 0o100644 << 16 // a regular file
	zip64Field        = 1              // identifier of the extra field
	zipEnd64Remaining = zipEnd64Size - 12
)

// zipLayout is the layout of the archive of a tree: where each byte of the archive comes from. The
// files are stored without compression, in the order of the torrent, so that the layout is known
// before any data was read. Only the checksums of the files depend on the data. It does not change.
type zipLayout struct {
	files      []publish.File
	names      []string // in the archive
	date, time uint16   // of all files, in the format of MS-DOS

	local   []int64 // offset of each local header; then that of the central directory
	central []int64 // offset of each entry of the central directory; then that of its end
	size    int64   // of the archive
}

// zipPart is a part of an archive.
type zipPart int

const (
	zipHeader zipPart = iota // local header of file i
	zipData                  // data of file i
	zipSum                   // data descriptor of file i
	zipEntry                 // entry of file i in the central directory
	zipEnd                   // the end of the central directory
)

// newZipLayout returns the layout of the archive of rel. It returns nil if a name is too long for a zip
// archive.
func newZipLayout(rel *publish.Release) *zipLayout {
	l := &zipLayout{files: rel.Files, names: make([]string, len(rel.Files))}
	l.date, l.time = dosTime(rel.Published)
	top := rel.StoredName() + "/"
	at := int64(0)
	for i, path := range rel.StoredPaths() {
		l.names[i] = top + path
		if len(l.names[i]) > zipMaxName {
			return nil
		}
		l.local = append(l.local, at)
		at += l.headerSize(i) + rel.Files[i].Length + l.descriptorSize(i)
	}
	l.local = append(l.local, at)
	for i := range l.files {
		l.central = append(l.central, at)
		at += zipCentralSize + int64(len(l.names[i])+l.centralExtra(i))
	}
	l.central = append(l.central, at)
	if l.end64() {
		at += zipEnd64Size + zipLocator64Size
	}
	l.size = at + zipEndSize
	return l
}

// dosTime returns t in UTC in the format of MS-DOS, which begins in 1980.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<5 | 1, 0
	}
	return uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()), uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}

func (l *zipLayout) large(i int) bool { return l.files[i].Length >= zipMax32 }

func (l *zipLayout) headerSize(i int) int64 {
	n := int64(zipLocalSize + len(l.names[i]))
	if l.large(i) {
		n += zipLocalExtra
	}
	return n
}

func (l *zipLayout) descriptorSize(i int) int64 {
	if l.large(i) {
		return zipDescriptor64
	}
	return zipDescriptor
}

// centralExtra returns the size of the extra field of file i in the central directory.
func (l *zipLayout) centralExtra(i int) int {
	n := 0
	if l.large(i) {
		n += 16
	}
	if l.local[i] >= zipMax32 {
		n += 8
	}
	if n > 0 {
		n += 4
	}
	return n
}

// end64 reports whether the archive needs a zip64 end of the central directory.
func (l *zipLayout) end64() bool {
	n := len(l.files)
	return n >= zipMax16 || l.central[n] >= zipMax32
}

// locate returns the part that contains the byte at off, the index of its file, and the offset of the
// byte in the part. off is at least 0 and less than size.
func (l *zipLayout) locate(off int64) (part zipPart, i int, at int64) {
	n := len(l.files)
	if off >= l.central[n] {
		return zipEnd, n, off - l.central[n]
	}
	// Search finds the first offset after off. Every part has at least one byte, so that no two offsets are equal.
	if off >= l.local[n] {
		i = sort.Search(n, func(i int) bool { return l.central[i] > off }) - 1
		return zipEntry, i, off - l.central[i]
	}
	i = sort.Search(n, func(i int) bool { return l.local[i] > off }) - 1
	at = off - l.local[i]
	if at < l.headerSize(i) {
		return zipHeader, i, at
	}
	if at -= l.headerSize(i); at < l.files[i].Length {
		return zipData, i, at
	}
	return zipSum, i, at - l.files[i].Length
}

// header returns the local header of file i.
func (l *zipLayout) header(i int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0x04034b50)
	b = l.common(b)
	b = le.AppendUint32(b, 0) // the checksum and the sizes are in the descriptor
	if l.large(i) {
		b = le.AppendUint64(b, zipMax32<<32|zipMax32)
	} else {
		b = le.AppendUint64(b, 0)
	}
	b = le.AppendUint16(b, uint16(len(l.names[i])))
	if !l.large(i) {
		b = le.AppendUint16(b, 0)
		return append(b, l.names[i]...)
	}
	b = le.AppendUint16(b, zipLocalExtra)
	b = append(b, l.names[i]...)
	b = le.AppendUint16(le.AppendUint16(b, zip64Field), zipLocalExtra-4)
	return le.AppendUint64(le.AppendUint64(b, 0), 0)
}

// common appends the fields that the local header and the entry of the central directory share: version,
// flags, method, time and date.
func (l *zipLayout) common(b []byte) []byte {
	for _, v := range []uint16{zipVersion, zipFlags, 0, l.time, l.date} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// descriptor returns the data descriptor of file i, whose data has the checksum crc.
func (l *zipLayout) descriptor(i int, crc uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(le.AppendUint32(nil, 0x08074b50), crc)
	n := uint64(l.files[i].Length)
	if l.large(i) {
		return le.AppendUint64(le.AppendUint64(b, n), n)
	}
	return le.AppendUint32(le.AppendUint32(b, uint32(n)), uint32(n))
}

// entry returns the entry of file i in the central directory.
func (l *zipLayout) entry(i int, crc uint32) []byte {
	le := binary.LittleEndian
	n, at := uint64(l.files[i].Length), uint64(l.local[i])
	extra := make([]byte, 0, 28)
	if size := l.centralExtra(i); size > 0 {
		extra = le.AppendUint16(le.AppendUint16(extra, zip64Field), uint16(size-4))
	}
	if l.large(i) {
		extra = le.AppendUint64(le.AppendUint64(extra, n), n)
		n = zipMax32
	}
	if at >= zipMax32 {
		extra = le.AppendUint64(extra, at)
		at = zipMax32
	}
	b := le.AppendUint16(le.AppendUint32(nil, 0x02014b50), zipMadeBy)
	b = l.common(b)
	b = le.AppendUint32(b, crc)
	b = le.AppendUint32(le.AppendUint32(b, uint32(n)), uint32(n))
	for _, v := range []int{len(l.names[i]), len(extra), 0, 0, 0} { // no comment, the first disk, no attributes
		b = le.AppendUint16(b, uint16(v))
	}
	b = le.AppendUint32(le.AppendUint32(b, zipPermissions), uint32(at))
	return append(append(b, l.names[i]...), extra...)
}

// end returns the end of the central directory.
func (l *zipLayout) end() []byte {
	le := binary.LittleEndian
	files := uint64(len(l.files))
	at, end := uint64(l.local[files]), uint64(l.central[files])
	n, size := files, end-at
	var b []byte
	if l.end64() {
		b = le.AppendUint64(le.AppendUint32(b, 0x06064b50), zipEnd64Remaining)
		b = le.AppendUint16(le.AppendUint16(b, zipMadeBy), zipVersion)
		b = le.AppendUint64(b, 0) // the number of this disk and of that with the directory
		for _, v := range []uint64{files, files, size, at} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(le.AppendUint32(b, 0x07064b50), 0)
		b = le.AppendUint32(le.AppendUint64(b, end), 1)
		n, size, at = zipMax16, min(size, zipMax32), zipMax32
	}
	b = le.AppendUint32(le.AppendUint32(b, 0x06054b50), 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(n)), uint16(n))
	b = le.AppendUint32(le.AppendUint32(b, uint32(size)), uint32(at))
	return le.AppendUint16(b, 0) // no comment
}
