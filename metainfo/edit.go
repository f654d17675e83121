package metainfo

import (
	"slices"

	"spate/bencode"
)

// Edit returns the torrent file b with some of its outermost values changed:
// for each key the encoded value that it shall have, nil to take it out. All
// others stay byte for byte, info among them unless it is changed itself, and
// what follows the torrent is left out. A key that was there keeps its place, a
// new one is put where sorted keys want it.
func Edit(b []byte, changes map[string][]byte) ([]byte, error) {
	return editDict(b, changes, true)
}

// EditInfo is like Edit for an info dictionary, or any other one. The result has
// another info-hash.
func EditInfo(info []byte, changes map[string][]byte) ([]byte, error) {
	return editDict(info, changes, false)
}

// ReplaceInfo gives the torrent another info dictionary, such as [EditInfo]
// returns, and with it other info-hashes. Everything outside of info stays; the
// piece layers have to be those of the new one.
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
			return nil, &Error{Field: known(key), Offset: -1, Reason: "the new value is not encoded right", cause: err}
		}
	}
	var keys []string // still to be added
	for key, value := range changes {
		if value != nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	out := bencode.AppendDict(make([]byte, 0, len(b)+256))
	put := func(key string) { out = append(bencode.AppendString(out, key), changes[key]...) }
	done := map[string]bool{} // keys of changes that were met
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

// presentKeys returns which keys of changes the dictionary b has.
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
