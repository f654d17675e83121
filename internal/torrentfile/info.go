package torrentfile

import (
	"bytes"
	"slices"

	"spate/bencode"
	"spate/internal/fault"
	"spate/metainfo"
)

// InfoChanges holds changes of the info dictionary of a torrent. They change the info-hash. A
// nil field stays as it is.
type InfoChanges struct {
	Name    *string
	Source  *string // empty removes the key
	Private *bool
}

// EditInfo returns the info dictionary of m with the changes. It also replaces values that
// were ignored because they have a wrong type.
func EditInfo(m *metainfo.MetaInfo, c InfoChanges) ([]byte, error) {
	changes := map[string][]byte{}
	text := func(key, value string) {
		changes[key] = nil
		if value != "" {
			changes[key] = bencode.AppendString(nil, value)
		}
	}
	if c.Source != nil {
		text("source", *c.Source)
	}
	if c.Private != nil {
		changes["private"] = nil
		if *c.Private {
			changes["private"] = bencode.AppendInt(nil, 1)
		}
	}
	if c.Name != nil && *c.Name != m.Info.Name {
		name := *c.Name
		if name == "" {
			return nil, fault.Usagef("a torrent needs a name")
		}
		text("name", name)
		if m.Info.HasV2() && m.Info.Single() {
			tree, err := renameSingle(m.InfoBytes, name)
			if err != nil {
				return nil, err
			}
			changes["file tree"] = tree
		}
		if slices.Contains(infoKeys(m.InfoBytes), "name.utf-8") {
			text("name.utf-8", name)
		}
	}
	if len(changes) == 0 {
		return m.InfoBytes, nil
	}
	return metainfo.EditInfo(m.InfoBytes, changes)
}

// infoKeys returns the keys of an info dictionary.
func infoKeys(info []byte) (keys []string) {
	d := bencode.NewDecoder(info, bencode.Options{})
	for key := range d.Dict {
		keys = append(keys, string(key))
		d.Skip()
	}
	return keys
}

// renameSingle returns the file tree of an info dictionary with one file, with another
// name for the file. The name is the only key of the tree (BEP 52).
func renameSingle(info []byte, name string) ([]byte, error) {
	var file []byte
	d := bencode.NewDecoder(info, bencode.Options{})
	for key := range d.Dict {
		if !bytes.Equal(key, []byte("file tree")) {
			d.Skip()
			continue
		}
		for range d.Dict {
			file = d.Raw()
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	b := bencode.AppendString(bencode.AppendDict(nil), name)
	return bencode.AppendEnd(append(b, file...)), nil
}
