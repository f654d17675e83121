package publish

import (
	"fmt"

	"spate/bencode"
	"spate/metainfo"
)

// nameError is the cause if the name of a release is not safe as the name of a file.
type nameError struct{ safe string }

func (e *nameError) Error() string {
	return fmt.Sprintf("the torrent would be named %q, because the name is not safe as a file name: choose another name", e.safe)
}

// checkName returns an error if the torrent's name is not want.
func (r *Release) checkName(want string) error {
	if r.Name != want {
		return &nameError{r.Name}
	}
	return nil
}

// safeName returns the name that clients give to the data of a torrent that is called name.
// It asks the parser of metainfo files, with the info dictionary of a file of one byte. It
// returns name if the maker is to report an error.
func safeName(name string) string {
	b := bencode.AppendDict(nil)
	b = bencode.AppendInt(bencode.AppendString(b, "length"), 1)
	b = bencode.AppendString(bencode.AppendString(b, "name"), name)
	b = bencode.AppendInt(bencode.AppendString(b, "piece length"), 16<<10)
	b = bencode.AppendString(bencode.AppendString(b, "pieces"), make([]byte, 20))
	m, err := metainfo.Options{}.FromInfo(bencode.AppendEnd(b))
	if err != nil {
		return name
	}
	return m.Info.Name
}
