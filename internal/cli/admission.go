package cli

import (
	"net/netip"
	"sync"

	"spate"
	"spate/publish"
	"spate/tracker/trackerserver"
)

// admission is the tracker as a publisher sees it: a release that is allowed
// has this process as its pinned origin.
type admission struct {
	node    *node
	origins []netip.AddrPort

	mu     sync.Mutex
	hashes map[string]spate.InfoHash // by release: the hash that was allowed first
}

// Allow implements [publish.Tracker]. The second hash of one name is the other
// half of a hybrid: the two are one release in the statistics.
func (t *admission) Allow(ih spate.InfoHash, note publish.Note) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := trackerserver.Note{Name: note.Name, Size: note.Size}
	first, paired := t.hashes[note.Name]
	if paired {
		n.Pair = first
	}
	if err := t.node.server.Allow(ih, n); err != nil {
		return err
	}
	if err := t.node.table.Pin(ih, t.origins...); err != nil {
		t.node.server.Disallow(ih)
		return err
	}
	if !paired {
		t.hashes[note.Name] = ih
		return nil
	}
	n.Pair = ih
	return t.node.server.Allow(first, n)
}

// Disallow implements [publish.Tracker].
func (t *admission) Disallow(ih spate.InfoHash) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, h := range t.hashes {
		if h == ih {
			delete(t.hashes, name)
		}
	}
	t.node.table.Unpin(ih)
	t.node.server.Disallow(ih)
	return nil
}
