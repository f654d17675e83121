package dht

import (
	"fmt"

	"spate"
	"spate/bencode"
	"spate/dht/internal/node"
)

// maxSaved bounds the nodes that are saved.
const maxSaved = 256

// Save returns nodes that this node knows, for Options.Saved of the next run. The format is a
// bencoded dictionary with the compact addresses "nodes" and "nodes6". The ids are not saved,
// so that several processes may start from one file.
func (n *Node) Save() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	var nodes, nodes6 []byte
	contacts := n.core.Contacts()
	for _, c := range contacts[:min(len(contacts), maxSaved)] {
		if c.Addr.Addr().Is4() {
			nodes = spate.AppendCompact(nodes, c.Addr)
		} else {
			nodes6 = spate.AppendCompact(nodes6, c.Addr)
		}
	}
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(bencode.AppendString(b, "nodes"), nodes)
	b = bencode.AppendString(bencode.AppendString(b, "nodes6"), nodes6)
	return bencode.AppendEnd(b)
}

// load adds the nodes that Save returned to the nodes to start from.
func load(saved []byte, o *node.Options) error {
	d := bencode.NewDecoder(saved, bencode.Options{Depth: 2, Tokens: 100})
	var err error
	for key := range d.Dict {
		switch {
		case d.Kind() != bencode.String:
		case string(key) == "nodes":
			o.Known, err = spate.AppendPeers4(o.Known, d.Bytes())
		case string(key) == "nodes6":
			o.Known, err = spate.AppendPeers6(o.Known, d.Bytes())
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
