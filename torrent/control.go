package torrent

// SetRates sets the rate limits of the torrent in bytes a second; 0 means no limit. It replaces those
// of [AddOptions]. It may be called at any time and by any goroutine.
func (t *Torrent) SetRates(up, down int64) {
	t.up.SetRate(up)
	t.down.SetRate(down)
}

// AnnounceAgain announces the torrent to its trackers again, as soon as the trackers allow it. It may
// be called at any time and by any goroutine.
func (t *Torrent) AnnounceAgain() { t.s.announcer.Repeat(t.swarms()) }
