package dht

import (
	"errors"
	"fmt"
	"time"

	"spate"
	"spate/bencode"
	"spate/dht/internal/node"
)

// maxSaved bounds the nodes that are saved.
const maxSaved = 256

// Save returns the ids of the node and nodes that it knows, for Options.Saved of the next run.
// The format is a bencoded dictionary: "id" and "id6" hold the ids, "nodes" and "nodes6"
// compact addresses.
func (n *Node) Save() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	var id, id6, nodes, nodes6 []byte
	for _, f := range n.core.Status(time.Now()) {
		if f.IPv6 {
			id6 = append(id6, f.ID[:]...)
		} else {
			id = append(id, f.ID[:]...)
		}
	}
	contacts := n.core.Contacts()
	for _, c := range contacts[:min(len(contacts), maxSaved)] {
		if c.Addr.Addr().Is4() {
			nodes = spate.AppendCompact(nodes, c.Addr)
		} else {
			nodes6 = spate.AppendCompact(nodes6, c.Addr)
		}
	}
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(bencode.AppendString(b, "id"), id)
	b = bencode.AppendString(bencode.AppendString(b, "id6"), id6)
	b = bencode.AppendString(bencode.AppendString(b, "nodes"), nodes)
	b = bencode.AppendString(bencode.AppendString(b, "nodes6"), nodes6)
	return bencode.AppendEnd(b)
}

// load sets the ids and the nodes to start from to those that Save returned.
func load(saved []byte, o *node.Options) error {
	d := bencode.NewDecoder(saved, bencode.Options{Depth: 2, Tokens: 100})
	var err error
	for key := range d.Dict {
		if d.Kind() != bencode.String {
			continue
		}
		switch b := d.Bytes(); string(key) {
		case "id":
			err = loadID(&o.ID, b)
		case "id6":
			err = loadID(&o.ID6, b)
		case "nodes":
			o.Known, err = spate.AppendPeers4(o.Known, b)
		case "nodes6":
			o.Known, err = spate.AppendPeers6(o.Known, b)
		}
		if err != nil {
			return fmt.Errorf("dht: the saved nodes are damaged: %w", err)
		}
	}
	if err := d.Finish(); err != nil {
		return fmt.Errorf("dht: the saved nodes are damaged: %w", err)
	}
	return nil
}

func loadID(id *[20]byte, b []byte) error {
	if len(b) != 0 && len(b) != len(id) {
		return errors.New("an id does not have 20 bytes")
	}
	copy(id[:], b)
	return nil
}
