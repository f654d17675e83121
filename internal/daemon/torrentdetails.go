package daemon

import (
	"cmp"
	"time"

	"spate/torrent"
)

// TorrentDetails describes an added torrent with its files and trackers.
type TorrentDetails struct {
	TorrentInfo
	TorrentMeta
	Files    []TorrentFile    `json:"file_list"`
	Trackers []TorrentTracker `json:"trackers"` // empty while the torrent does not run
}

// TorrentFile is a file of a torrent.
type TorrentFile struct {
	Path     string `json:"path"` // below the name of the torrent
	Length   int64  `json:"length"`
	Done     int64  `json:"done"`
	Priority string `json:"priority"`
}

// TorrentTracker is a tracker of a torrent that runs.
type TorrentTracker struct {
	URL          string    `json:"url"`
	LastAnnounce time.Time `json:"last_announce,omitzero"`
	NextAnnounce time.Time `json:"next_announce,omitzero"`
	Error        string    `json:"error,omitempty"`
	Warning      string    `json:"warning,omitempty"`
	Seeders      int       `json:"seeders"`
	Leechers     int       `json:"leechers"`
}

// Details describes the torrent that ref names.
func (t *Torrents) Details(ref string) (TorrentDetails, error) {
	d := TorrentDetails{Files: []TorrentFile{}, Trackers: []TorrentTracker{}}
	e, err := t.find(ref)
	if err != nil {
		return d, err
	}
	t.mu.Lock()
	d.TorrentInfo = t.infoLocked(e)
	r, phase := e.rec, e.phase
	t.mu.Unlock()
	if !r.Known {
		return d, nil
	}
	var tor *torrent.Torrent
	if phase == phaseRunning || phase == phaseDormant {
		tor = t.session.Torrent(r.InfoHash)
	}
	if tor != nil {
		d.TorrentMeta = metaOf(tor.MetaInfo())
		for _, f := range tor.Files() {
			if !f.Pad {
				d.Files = append(d.Files, TorrentFile{Path: cmp.Or(f.Path, tor.MetaInfo().Info.Name), Length: f.Length, Done: f.Done, Priority: priorityName(f.Priority)})
			}
		}
		d.Trackers = trackersOf(tor)
		return d, nil
	}
	mi, err := t.store.loadTorrent(&r)
	if err != nil {
		return d, err
	}
	d.TorrentMeta = metaOf(mi)
	priorities, err := r.priorities(mi, r.Magnet)
	if err != nil {
		return d, err
	}
	for i, p := range priorities {
		f := &mi.Info.Files[i]
		if f.Pad() {
			continue
		}
		one := TorrentFile{Path: pathInTorrent(mi, i), Length: f.Length, Priority: priorityName(p)}
		if !r.Completed.IsZero() && p != torrent.PrioritySkip {
			one.Done = f.Length
		}
		d.Files = append(d.Files, one)
	}
	return d, nil
}

// trackersOf returns what the trackers of a torrent said last.
func trackersOf(tor *torrent.Torrent) []TorrentTracker {
	list := []TorrentTracker{}
	for _, tr := range tor.Stats().Trackers {
		one := TorrentTracker{URL: tr.URL, LastAnnounce: tr.LastAnnounce, NextAnnounce: tr.NextAnnounce, Warning: tr.Warning, Seeders: tr.Complete, Leechers: tr.Incomplete}
		if tr.Err != nil {
			one.Error = tr.Err.Error()
		}
		list = append(list, one)
	}
	return list
}

// priorityName returns the name of p in a [FileRule].
func priorityName(p torrent.Priority) string {
	for name, q := range filePriorities {
		if p == q {
			return name
		}
	}
	return "normal"
}
