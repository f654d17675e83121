package classic

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"spate"
	"spate/bencode"
	"spate/internal/units"
)

// MaxDFile is the maximum size of a file of --dfile, in bytes.
const MaxDFile = 64 << 20

// ParseDFile parses the state file of bttrack. It returns the number of completions of each
// info-hash, and ignores the peers in the file, because they are outdated.
func ParseDFile(b []byte) (map[spate.InfoHash]uint32, error) {
	completed := map[spate.InfoHash]uint32{}
	d := bencode.NewDecoder(b, bencode.Options{})
	for key := range d.Dict {
		if string(key) != "completed" {
			d.Skip()
			continue
		}
		for hash := range d.Dict {
			n := d.Int()
			if len(hash) != len(spate.InfoHash{}) || n < 0 || n > 1<<32-1 {
				return nil, fmt.Errorf("dfile: %s of %x", units.Plural(n, "completion"), hash)
			}
			if n > 0 {
				completed[spate.InfoHash(hash)] = uint32(n)
			}
		}
	}
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("dfile: %w", err)
	}
	return completed, nil
}

// AppendDFile appends the state file with the counts completed to b. bttrack can read it.
func AppendDFile(b []byte, completed map[spate.InfoHash]uint32) []byte {
	b = bencode.AppendDict(b)
	b = bencode.AppendString(b, "completed")
	b = bencode.AppendDict(b)
	byHash := func(a, b spate.InfoHash) int { return bytes.Compare(a[:], b[:]) }
	for _, h := range slices.SortedFunc(maps.Keys(completed), byHash) {
		b = bencode.AppendString(b, string(h[:]))
		b = bencode.AppendInt(b, int64(completed[h]))
	}
	b = bencode.AppendEnd(b)
	b = bencode.AppendString(b, "peers")
	b = bencode.AppendEnd(bencode.AppendDict(b))
	return bencode.AppendEnd(b)
}
