package daemon

import (
	"spate"
	"spate/publish"
	"spate/tracker"
)

// admission implements [publish.Tracker] with the tracker node. It pins this process as a seed
// of every release that it allows.
type admission struct {
	trackerNode *TrackerNode
	address     func() *publicAddress // contains the addresses of this process's seed
}

// Allow implements [publish.Tracker].
func (t *admission) Allow(ih spate.InfoHash, note publish.Note) error {
	if err := t.trackerNode.server.Allow(ih, tracker.Note{Name: note.Name, Size: note.Size, Pair: note.Pair, Release: note.Release}); err != nil {
		return err
	}
	if note.Paused {
		t.trackerNode.table.Unpin(ih)
		return nil
	}
	origins := t.address().origins
	if origins[0].Port() == 0 { // nobody can connect to this process
		origins = nil
	}
	if err := t.trackerNode.table.Pin(ih, origins...); err != nil {
		t.trackerNode.server.Disallow(ih)
		return err
	}
	return nil
}

// Disallow implements [publish.Tracker].
func (t *admission) Disallow(ih spate.InfoHash) error {
	t.trackerNode.table.Unpin(ih)
	t.trackerNode.server.Disallow(ih)
	return nil
}
