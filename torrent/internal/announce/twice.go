package announce

import "net/url"

// A peer that announces to a tracker over a WebSocket and by requests too must not be counted twice.
// So its announces over the WebSocket say whether the tracker counts it already
// (tracker.AnnounceRequest.Twice).

// beside says where else a swarm of WebSocket trackers is announced.
type beside struct {
	own    bool
	swarms []*Swarm
}

// SetBeside records that the swarm, which has WebSocket trackers, is announced to the trackers of
// others too, or if own is true, that its trackers know this process as an origin. It must be called
// before the swarm is started.
func (w *Swarm) SetBeside(own bool, others []*Swarm) { w.beside = &beside{own, others} }

// SetRanges makes the announces of a seed say that it serves ranges to pages, while serves returns
// true. It must be called before the swarm is started.
func (w *Swarm) SetRanges(serves func() bool) { w.ranges = serves }

// twiceLocked reports whether the site of a WebSocket tracker counts this peer for another announce of
// the swarm. ending means that the announce reports a completed download or the end: the other announces
// of the swarm, which may have ended a moment ago, report that too.
func (s *Scheduler) twiceLocked(w *Swarm, tracker string, ending bool) bool {
	host := hostname(tracker)
	if b := w.beside; b != nil {
		if b.own {
			return true
		}
		for _, other := range b.swarms {
			if other.hash == w.hash && other.listedAt(host) && (other.active || ending) {
				return true
			}
		}
	}
	for other := range s.unqueued { // of Poll, which has one tracker in a swarm
		if other != w && other.hash == w.hash && other.listedAt(host) {
			return true
		}
	}
	return false
}

// listedAt reports whether a tracker of a host, other than WebSocket trackers, lists this peer because
// of the swarm, or most likely will: it is the first one that is asked.
func (w *Swarm) listedAt(host string) bool {
	fresh := w.last().IsZero()
	for i, u := range w.tiers.URLs() {
		if IsWebSocket(u) || hostname(u) != host {
			continue
		}
		if fresh && i == 0 {
			return true
		}
		for _, p := range w.paces {
			if p.url == u && !p.last.IsZero() && p.failures == 0 {
				return true
			}
		}
	}
	return false
}

// hostname returns the host of a URL without the port; "" if there is none.
func hostname(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
