package cli

// isBadData reports whether err says that a torrent, a magnet link or data is
// malformed or does not match its hash.
func isBadData(err error) bool {
	return false
}
