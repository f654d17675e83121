package metainfo

import (
	"errors"
	"io"

	"spate/bencode"
)

// HeadSize is the number of bytes for [CheckHead] that a reader of files should read first.
const HeadSize = 64 << 10

// CheckHead returns an [*Error] if no torrent file begins with the bytes of head. A program that
// reads files that may be anything checks the first [HeadSize] bytes before it reads the rest,
// because a torrent file can have [MaxSize] bytes.
func CheckHead(head []byte) error {
	if len(head) > 0 && head[0] != 'd' {
		return notDictionary()
	}
	d := bencode.NewDecoder(head, bencode.Options{Tokens: len(head) + 1})
	d.Skip()
	var s *bencode.SyntaxError
	err := d.Err()
	if !errors.As(err, &s) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bencode.ErrLimit) {
		return nil
	}
	return &Error{Offset: s.Offset, Reason: s.Reason, cause: err}
}
