package itemstore

import (
	"errors"

	"spate"
	"spate/bencode"
)

// TorrentValue returns the value of a mutable item that points to a torrent (BEP 46). The
// publisher puts another version of the item when there is another torrent.
func TorrentValue(hash spate.InfoHash) []byte {
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(b, "ih")
	b = bencode.AppendString(b, hash[:])
	return bencode.AppendEnd(b)
}

// ErrNoTorrent is returned for a value that does not point to a torrent.
var ErrNoTorrent = errors.New("the value has no info-hash of 20 bytes (BEP 46)")

// ParseTorrentValue returns the info-hash in a value that [TorrentValue] or another program
// made. Other keys may be in the value.
func ParseTorrentValue(value []byte) (spate.InfoHash, error) {
	d := bencode.NewDecoder(value, bencode.Options{})
	var found []byte
	for key := range d.Dict {
		if string(key) == "ih" && d.Kind() == bencode.String {
			found = d.Bytes()
		}
	}
	if d.Finish() != nil || len(found) != len(spate.InfoHash{}) {
		return spate.InfoHash{}, ErrNoTorrent
	}
	return spate.InfoHash(found), nil
}
