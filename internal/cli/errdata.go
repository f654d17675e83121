package cli

import (
	"errors"

	"spate/bencode"
	"spate/metainfo"
)

// isBadData reports whether err says that a torrent, a magnet link or data is
// malformed or does not match its hash.
func isBadData(err error) bool {
	var torrent *metainfo.Error
	var syntax *bencode.SyntaxError
	return errors.Is(err, metainfo.ErrBadMagnet) || errors.As(err, &torrent) || errors.As(err, &syntax)
}
