package transmission

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"spate/internal/daemon"
)

// recent is the time after its last activity in which a torrent is recently active.
const recent = time.Minute

// maxRemoved limits the numbers of removed torrents that are remembered.
const maxRemoved = 1000

// ids gives torrents numbers, which hold until the daemon stops.
type ids struct {
	mu      sync.Mutex // guards the fields below
	last    int
	of      map[string]int    // by info-hash
	moved   map[string]moved  // by info-hash
	removed map[int]time.Time // numbers of torrents that are gone
}

// moved is the last activity of a torrent.
type moved struct {
	bytes int64
	state string
	at    time.Time
}

func newIDs() *ids {
	return &ids{of: map[string]int{}, moved: map[string]moved{}, removed: map[int]time.Time{}}
}

// update gives numbers to the torrents in all, which is the list of all torrents, and forgets those
// that are gone.
func (n *ids) update(all []daemon.TorrentInfo, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	there := make(map[string]bool, len(all))
	for i := range all {
		t := &all[i]
		there[t.InfoHash] = true
		if n.of[t.InfoHash] == 0 {
			n.last++
			n.of[t.InfoHash] = n.last
		}
		was, bytes := n.moved[t.InfoHash], t.Downloaded+t.Uploaded
		if was.at.IsZero() || was.bytes != bytes || was.state != t.State {
			n.moved[t.InfoHash] = moved{bytes, t.State, now}
		}
	}
	for h, id := range n.of {
		if !there[h] {
			delete(n.of, h)
			delete(n.moved, h)
			if len(n.removed) < maxRemoved {
				n.removed[id] = now
			}
		}
	}
	for id, at := range n.removed {
		if now.Sub(at) > recent {
			delete(n.removed, id)
		}
	}
}

// id returns the number of a torrent.
func (n *ids) id(hash string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[hash]
}

// activity returns when a torrent was last active.
func (n *ids) activity(hash string) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.moved[hash].at
}

// gone returns the numbers of the torrents that were removed lately.
func (n *ids) gone() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []int{}
	for id := range n.removed {
		list = append(list, id)
	}
	return list
}

// selected is the torrents that a request is about.
type selected struct {
	list   []daemon.TorrentInfo
	recent bool // the request asks for those that were recently active
}

// choose returns the torrents that the parameter ids names: a number, an info-hash, a list of them,
// recently_active, or all if it is absent. Unknown ones are left out, as Transmission does.
func (s *Server) choose(raw json.RawMessage) (selected, error) {
	all, _ := s.torrents.List(daemon.TorrentList{})
	now := s.opt.Now()
	s.ids.update(all, now)
	if len(raw) == 0 || string(raw) == "null" {
		return selected{list: all}, nil
	}
	var one any
	if err := json.Unmarshal(raw, &one); err != nil {
		return selected{}, badParams("ids: %v", err)
	}
	wanted := map[any]bool{}
	switch v := one.(type) {
	case string:
		if snake(v) == "recently_active" {
			var list []daemon.TorrentInfo
			for _, t := range all {
				if now.Sub(s.ids.activity(t.InfoHash)) < recent {
					list = append(list, t)
				}
			}
			return selected{list, true}, nil
		}
		wanted[strings.ToLower(v)] = true
	case float64:
		wanted[int(v)] = true
	case []any:
		for _, e := range v {
			switch e := e.(type) {
			case string:
				wanted[strings.ToLower(e)] = true
			case float64:
				wanted[int(e)] = true
			default:
				return selected{}, badParams("ids contains neither a number nor an info-hash")
			}
		}
	default:
		return selected{}, badParams("ids is neither a number nor an info-hash nor a list of them")
	}
	var list []daemon.TorrentInfo
	for _, t := range all {
		if wanted[t.InfoHash] || wanted[s.ids.id(t.InfoHash)] {
			list = append(list, t)
		}
	}
	return selected{list: list}, nil
}
