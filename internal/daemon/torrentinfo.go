package daemon

import (
	"math"
	"path/filepath"
	"time"

	"spate/internal/stall"
	"spate/torrent"
)

// TorrentInfo describes an added torrent.
type TorrentInfo struct {
	InfoHash    string  `json:"info_hash"`
	Name        string  `json:"name"`
	State       string  `json:"state"` // one of the Torrent... constants
	Error       string  `json:"error,omitempty"`
	Dir         string  `json:"dir"`
	Path        string  `json:"path,omitempty"` // of the data; absent before the torrent is known
	TotalLength int64   `json:"total_length"`   // bytes of the selected files, or of all before the torrent first ran
	Done        int64   `json:"done"`           // verified bytes of them
	NumFiles    int     `json:"num_files"`
	Private     bool    `json:"private,omitempty"`
	Progress    float64 `json:"progress"` // 0 to 1; of the check while State is checking
	Downloaded  int64   `json:"downloaded"`
	Uploaded    int64   `json:"uploaded"`
	DownRate    float64 `json:"down_rate"` // bytes a second
	UpRate      float64 `json:"up_rate"`
	Peers       int     `json:"peers"`    // connected peers
	Seeders     int     `json:"seeders"`  // in the swarm, as its trackers say
	Leechers    int     `json:"leechers"` // in the swarm, as its trackers say
	Paused      bool    `json:"paused"`
	Finished    bool    `json:"finished,omitempty"` // a goal is reached
	Place       int     `json:"place"`              // position in the queue, from 0
	Magnet      string  `json:"magnet,omitempty"`   // the link that was added
	Feed        string  `json:"feed,omitempty"`     // name of the feed that named it
	TorrentOptions
	Added     time.Time `json:"added"`
	Completed time.Time `json:"completed,omitzero"`
	Seeded    int64     `json:"seeded,omitempty"` // seconds of seeding, as they are counted for the goal
	// Stall and StallReason say why a download that runs receives nothing.
	Stall       stall.Cause `json:"stall,omitempty"`
	StallReason string      `json:"stall_reason,omitempty"`
	// Held says what has paused the daemon or the label of the torrent for a time: "schedule" or
	// "volume". The torrent keeps its state, but sends and receives nothing.
	Held string `json:"held,omitempty"`
}

// The states of a [TorrentInfo].
const (
	TorrentMetadata    = "metadata" // peers are asked for the torrent of a magnet link
	TorrentQueued      = "queued"   // it waits for its turn
	TorrentChecking    = "checking" // existing data is checked
	TorrentDownloading = "downloading"
	TorrentStalled     = "stalled" // it downloads, but receives nothing
	TorrentSeeding     = "seeding"
	TorrentPaused      = "paused"
	TorrentFinished    = "finished" // it has seeded as much as it should
	TorrentMoving      = "moving"
	TorrentRemoving    = "removing" // its data is being deleted
	TorrentFailed      = "failed"
)

// infoLocked describes e.
func (t *Torrents) infoLocked(e *addedTorrent) TorrentInfo {
	r := &e.rec
	i := TorrentInfo{
		InfoHash: r.InfoHash.String(), Name: r.Name, Dir: r.Dir, TotalLength: r.Length, Done: r.Done, NumFiles: r.NumFiles, Private: r.Private,
		Downloaded: r.Downloaded, Uploaded: r.Uploaded, Paused: r.Paused, Finished: r.Finished, Place: r.Place, Magnet: r.Magnet, Feed: r.Feed,
		TorrentOptions: r.TorrentOptions, Added: r.Added, Completed: r.Completed, Seeded: r.Seeded,
	}
	if r.Known {
		i.Path = filepath.Join(r.Dir, r.DataName)
	}
	i.State, i.Held = e.stateLocked(), t.timed(r.Label).Held
	if e.phase == phaseRunning || e.phase == phaseDormant {
		t.addStats(e, &i)
	}
	if e.err != nil {
		i.Error = e.err.Error()
	}
	if c := e.checking; c != nil && c.total > 0 {
		i.Progress = float64(c.done) / float64(c.total)
	} else if i.State != TorrentChecking && i.TotalLength > 0 {
		i.Progress = float64(i.Done) / float64(i.TotalLength)
	}
	return i
}

// stateLocked returns the state of e without the engine.
func (e *addedTorrent) stateLocked() string {
	switch r := &e.rec; {
	case r.Remove != "":
		return TorrentRemoving
	case e.phase == phaseMoving:
		return TorrentMoving
	case e.err != nil:
		return TorrentFailed
	case r.Paused:
		return TorrentPaused
	case r.Finished:
		return TorrentFinished
	case e.phase == phaseDormant:
		return TorrentSeeding
	case e.phase == phasePreparing && !r.Known:
		return TorrentMetadata
	case e.phase == phasePreparing:
		return TorrentChecking
	}
	return TorrentQueued
}

// addStats adds what the engine knows of a torrent to i.
func (t *Torrents) addStats(e *addedTorrent, i *TorrentInfo) {
	tor := t.session.Torrent(e.rec.InfoHash)
	if tor == nil {
		return // it is dormant
	}
	st := tor.Stats()
	i.TotalLength, i.Done, i.Downloaded, i.Uploaded = st.BytesTotal, st.BytesDone, st.Downloaded, st.Uploaded
	i.DownRate, i.UpRate, i.Peers = math.Round(st.DownRate), math.Round(st.UpRate), st.Peers
	for _, tr := range st.Trackers {
		i.Seeders, i.Leechers = max(i.Seeders, tr.Complete), max(i.Leechers, tr.Incomplete)
	}
	if e.rec.Paused || e.phase == phaseMoving || e.rec.Remove != "" {
		return // it is being stopped
	}
	switch st.State {
	case torrent.StateChecking:
		i.State, i.Progress = TorrentChecking, 0
		if st.Pieces > 0 {
			i.Progress = float64(st.Checked) / float64(st.Pieces)
		}
	case torrent.StateSeeding:
		i.State = TorrentSeeding
	case torrent.StateFailed:
		i.State = TorrentFailed
		if st.Err != nil {
			i.Error = TransferError(st.Err).Error()
		}
	default:
		i.State = TorrentDownloading
		facts := tor.Stall()
		why := stall.Of(stall.FactsOf(facts, &st, tor.MetaInfo(), stall.Port(t.session.Session), t.session.SearchInDHT(e.rec.InfoHash)))
		if facts.Idle >= why.After() && why.Cause != stall.Trying && i.Held == "" {
			i.State, i.Stall, i.StallReason = TorrentStalled, why.Cause, why.Text
		}
	}
}

// TorrentTotals are sums over the added torrents.
type TorrentTotals struct {
	Count    int            `json:"count"`
	States   map[string]int `json:"states"` // number of torrents in each state
	DownRate float64        `json:"down_rate"`
	UpRate   float64        `json:"up_rate"`
}

// Totals returns sums over all torrents.
func (t *Torrents) Totals() TorrentTotals {
	sum := TorrentTotals{States: map[string]int{}}
	list, _ := t.List(TorrentList{})
	for i := range list {
		sum.Count++
		sum.States[list[i].State]++
		sum.DownRate, sum.UpRate = sum.DownRate+list[i].DownRate, sum.UpRate+list[i].UpRate
	}
	return sum
}
