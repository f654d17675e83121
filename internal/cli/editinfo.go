package cli

import (
	"bytes"
	"slices"

	"spate/bencode"
	"spate/internal/fault"
	"spate/metainfo"
)

// info returns the info dictionary of m with the changes inside it, or as it is.
func (o *editOptions) info(m *metainfo.MetaInfo) ([]byte, error) {
	changes := map[string][]byte{}
	text := func(key, value string) {
		if changes[key] = nil; value != "" {
			changes[key] = bencode.AppendString(nil, value)
		}
	}
	if o.given["source"] && o.source != m.Info.Source {
		text("source", o.source)
	}
	if o.given["private"] && o.private != m.Info.Private {
		if changes["private"] = nil; o.private {
			changes["private"] = bencode.AppendInt(nil, 1)
		}
	}
	if o.given["name"] && o.name != m.Info.Name {
		if o.name == "" {
			return nil, fault.Usagef("--name: a torrent needs a name")
		}
		text("name", o.name)
		if m.Info.HasV2() && m.Info.Single() {
			tree, err := renameSingle(m.InfoBytes, o.name)
			if err != nil {
				return nil, err
			}
			changes["file tree"] = tree
		}
		if slices.Contains(infoKeys(m.InfoBytes), "name.utf-8") {
			text("name.utf-8", o.name)
		}
	}
	if len(changes) == 0 {
		return m.InfoBytes, nil
	}
	return metainfo.EditInfo(m.InfoBytes, changes)
}

func infoKeys(info []byte) (keys []string) {
	d := bencode.NewDecoder(info, bencode.Options{})
	for key := range d.Dict {
		keys = append(keys, string(key))
		d.Skip()
	}
	return keys
}

// renameSingle returns the file tree of a single file under another name: it is
// the tree's only key (BEP 52).
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
