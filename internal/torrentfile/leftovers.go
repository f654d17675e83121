package torrentfile

import (
	"bytes"

	"spate/bencode"
)

// KeyWith returns the first top-level key of the torrent file b whose value still contains
// the URL, or "". Other programs keep URLs under keys of their own: rtorrent keeps the
// trackers, with their passkeys, under libtorrent_resume.
func KeyWith(b []byte, url string) string {
	d := bencode.NewDecoder(b, bencode.Options{})
	for key := range d.Dict {
		if bytes.Contains(d.Raw(), []byte(url)) {
			return string(key)
		}
	}
	return ""
}
