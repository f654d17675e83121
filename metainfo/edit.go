package metainfo

import (
	"slices"

	"spate/bencode"
)

// Edit returns the torrent file b with changed top-level values. changes maps a key to
// its new encoded value, or to nil to remove the key. All other bytes stay the same,
// including the info dictionary unless it is changed, but bytes after the end of the
// torrent are removed. An existing key keeps its position; a new one is inserted in
// sorted order.
func Edit(b []byte, changes map[string][]byte) ([]byte, error) {
	return editDict(b, changes, true)
}

// EditInfo is like [Edit] for an info dictionary or any other dictionary. The result
// has another info-hash.
func EditInfo(info []byte, changes map[string][]byte) ([]byte, error) {
	return editDict(info, changes, false)
}

// ReplaceInfo replaces the info dictionary, for example by the result of [EditInfo].
// The info-hashes change, everything else stays. The piece layers must match the new
// info dictionary.
func (m *MetaInfo) ReplaceInfo(raw []byte) error {
	n, err := FromInfo(raw)
	if err != nil {
		return err
	}
	n.PieceLayers = m.PieceLayers
	if n.Info.HasV2() {
		if err := n.verifyLayers(); err != nil {
			return err
		}
	}
	m.Info, m.InfoBytes, m.hashV1, m.hashV2 = n.Info, n.InfoBytes, n.hashV1, n.hashV2
	return nil
}

func editDict(b []byte, changes map[string][]byte, trailing bool) ([]byte, error) {
	p := newParser(Options{}, b)
	d := p.d
	for key, value := range changes {
		if value == nil {
			continue
		}
		if err := bencode.Valid(value); err != nil {
			return nil, &Error{Field: fieldName(key), Offset: -1, Reason: "the new value is not valid bencoding", cause: err}
		}
	}
	var keys []string // keys that must still be added
	for key, value := range changes {
		if value != nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	out := bencode.AppendDict(make([]byte, 0, len(b)+256))
	put := func(key string) { out = append(bencode.AppendString(out, key), changes[key]...) }
	done := map[string]bool{} // keys of changes that were found
	present := presentKeys(b, changes)
	for key := range d.Dict {
		raw := d.Raw()
		for len(keys) > 0 && (present[keys[0]] || keys[0] < string(key)) {
			if !present[keys[0]] {
				put(keys[0])
			}
			keys = keys[1:]
		}
		switch value, ok := changes[string(key)]; {
		case !ok:
			out = append(bencode.AppendString(out, key), raw...)
		case value != nil && !done[string(key)]:
			put(string(key))
		}
		if _, ok := changes[string(key)]; ok {
			done[string(key)] = true
		}
	}
	if !trailing && d.Err() == nil && len(d.Rest()) > 0 {
		p.fail("", d.Offset(), "bytes after the end")
	}
	if !p.syntax("", d) {
		return nil, p.err
	}
	for _, key := range keys {
		if !present[key] {
			put(key)
		}
	}
	return bencode.AppendEnd(out), nil
}

// presentKeys returns the keys of changes that exist in the dictionary b.
func presentKeys(b []byte, changes map[string][]byte) map[string]bool {
	present := map[string]bool{}
	d := bencode.NewDecoder(b, bencode.Options{})
	for key := range d.Dict {
		if _, ok := changes[string(key)]; ok {
			present[string(key)] = true
		}
	}
	return present
}
