package cli

import (
	"context"
	"time"

	"spate"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/units"
	"spate/metainfo"
	"spate/publish"
	"spate/torrent"
)

// releaseEvent is an event about a release. publish --json prints it for each release once all
// sockets listen. serve --json prints it for each release that is published or withdrawn.
type releaseEvent struct {
	Event string `json:"event"` // ready, published, withdrawn
	publish.ReleaseInfo
	HTTPAddr string `json:"http_addr"`
	UDPAddr  string `json:"udp_addr,omitempty"`
	PeerAddr string `json:"peer_addr"`
	// Reachable says whether others on the internet can connect. It is absent if that is
	// unknown.
	Reachable *reach.Status `json:"reachable,omitempty"`
	// Warnings are what publish has also printed on standard error: patterns without effect,
	// entries that were left out, and limits of other programs that the torrent exceeds.
	Warnings []string `json:"warnings,omitempty"`
}

// readyEvent is the event that seed, tracker and serve print with --json once all sockets
// listen. seed prints further events, each about one torrent.
type readyEvent struct {
	Event        string   `json:"event"`
	Name         string   `json:"name,omitempty"`
	Path         string   `json:"path,omitempty"`
	PageURL      string   `json:"page_url,omitempty"`
	TorrentURL   string   `json:"torrent_url,omitempty"`
	Magnet       string   `json:"magnet,omitempty"`
	InfoHashV1   string   `json:"info_hash_v1,omitempty"`
	InfoHashV2   string   `json:"info_hash_v2,omitempty"`
	AnnounceURLs []string `json:"announce_urls,omitempty"`
	HTTPAddr     string   `json:"http_addr,omitempty"`
	UDPAddr      string   `json:"udp_addr,omitempty"`
	PeerAddr     string   `json:"peer_addr,omitempty"`
	// Reachable is as in releaseEvent.
	Reachable *reach.Status `json:"reachable,omitempty"`
	Torrents  int           `json:"torrents,omitempty"`
	Socket    string        `json:"socket,omitempty"`   // path of the socket of the API
	APIAddr   string        `json:"api_addr,omitempty"` // address of the API on the network
	RPCAddr   string        `json:"rpc_addr,omitempty"` // address of the Transmission RPC
}

// describe sets the fields that come from a torrent.
func (e *readyEvent) describe(mi *metainfo.MetaInfo) {
	e.Magnet = mi.Magnet().String()
	if h, ok := mi.HashV1(); ok {
		e.InfoHashV1 = h.String()
	}
	if h, ok := mi.HashV2(); ok {
		e.InfoHashV2 = h.String()
	}
	if e.AnnounceURLs != nil {
		return
	}
	for _, tier := range mi.AnnounceList {
		e.AnnounceURLs = append(e.AnnounceURLs, tier...)
	}
}

// statsEvent is the event that seed --json prints for each torrent whose numbers have changed.
type statsEvent struct {
	Event      string `json:"event"` // "stats"
	InfoHash   string `json:"info_hash"`
	Name       string `json:"name"`
	State      string `json:"state"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
	Uploaded   int64  `json:"uploaded"`
	Downloaded int64  `json:"downloaded"`
	UpRate     int64  `json:"up_rate"`
	DownRate   int64  `json:"down_rate"`
	Peers      int    `json:"peers"`
	Error      string `json:"error,omitempty"`
	Tracker    string `json:"tracker_error,omitempty"` // why the last announce failed
}

// statsEventEvery is the minimum time between two stats events of one torrent.
const statsEventEvery = 2 * time.Second

// status shows the state of the torrents of a session: a line at the bottom of a terminal, or
// events with --json. Only one goroutine may use it.
type status struct {
	app     *app
	session *torrent.Session
	last    map[spate.InfoHash]statsEvent
	failed  map[spate.InfoHash]bool
	trouble map[string]bool // the errors of trackers that the user has read
	told    time.Time       // time of the last stats events
	// story returns the downloads that the line describes; nil for processes that only seed.
	story   func(context.Context) (daemon.Story, error)
	before  func() string // returns what is said before the story, or ""; may be nil
	more    func() string // returns the end of the line without a story; may be nil
	line    string        // the line of the story
	lineAt  time.Time     // time of line
	noStats bool          // print no stats events
}

func (a *app) newStatus(s *torrent.Session) *status {
	return &status{app: a, session: s, last: map[spate.InfoHash]statsEvent{}, failed: map[spate.InfoHash]bool{}, trouble: map[string]bool{}}
}

func (s *status) finish() { s.app.ClearBar() }

// run shows the status and calls each periodically. It ends when each returns an error, which
// run returns, or when ctx ends.
func (s *status) run(ctx context.Context, each func() error) error {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		if err := each(); err != nil {
			return err
		}
		if err := s.show(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			s.told = time.Time{} // print the last numbers at once
			return s.show(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

func (s *status) show(ctx context.Context) error {
	now := s.app.Now()
	due := now.Sub(s.told) >= statsEventEvery
	var peers int
	var rate float64
	var sent int64
	for _, t := range s.session.Torrents() {
		st := t.Stats()
		peers += st.Peers
		rate += st.UpRate
		sent += st.Uploaded
		if bad := st.State == torrent.StateFailed; bad != s.failed[st.InfoHash] {
			s.failed[st.InfoHash] = bad
			if bad {
				s.app.Warnf("%s: halted: %v", st.Name, st.Err)
			} else {
				s.app.Notef("%s: resumed", st.Name)
			}
		}
		trouble := s.trackerTrouble(&st)
		if !s.app.JSON || !due || s.noStats {
			continue
		}
		e := statsEvent{
			Event: "stats", InfoHash: st.InfoHash.String(), Name: st.Name, State: st.State.String(),
			BytesDone: st.BytesDone, BytesTotal: st.BytesTotal, Uploaded: st.Uploaded, Downloaded: st.Downloaded,
			UpRate: int64(st.UpRate), DownRate: int64(st.DownRate), Peers: st.Peers, Tracker: trouble,
		}
		if st.Err != nil {
			e.Error = st.Err.Error()
		}
		if e == s.last[st.InfoHash] {
			continue
		}
		s.last[st.InfoHash] = e
		s.told = now
		if err := s.app.PrintJSON(e); err != nil {
			return err
		}
	}
	if s.app.HasBar() && !s.app.Quiet {
		s.app.SetBar(s.lineOf(ctx, now, peers, rate, sent))
	}
	return nil
}

// storyEvery is the minimum time between two reads of the story, which costs time with many
// releases.
const storyEvery = time.Second

// lineOf returns the line at the bottom of the terminal.
func (s *status) lineOf(ctx context.Context, now time.Time, peers int, rate float64, sent int64) string {
	if s.story == nil {
		line := units.Plural(peers, "peer") + " connected"
		if peers > 0 {
			line += ", " + units.Rate(rate) + " up"
		}
		if sent > 0 {
			line += ", " + units.Bytes(sent) + " sent"
		}
		if s.more != nil {
			line += s.more()
		}
		return line
	}
	if now.Sub(s.lineAt) >= storyEvery {
		if story, err := s.story(ctx); err == nil { // an error is one of the catalog, which is logged
			s.line, s.lineAt = storyLine(story, peers, rate), now
		}
	}
	if s.before != nil {
		if first := s.before(); first != "" {
			return first + "; " + s.line
		}
	}
	return s.line
}

// maxTrouble bounds the errors of trackers that the user reads.
const maxTrouble = 50

// trackerTrouble returns the error of a torrent's last announce, or "". It prints each error
// once.
func (s *status) trackerTrouble(st *torrent.Stats) string {
	for _, t := range st.Trackers {
		if t.Err == nil {
			continue
		}
		reason := fault.Message(t.Err)
		line := st.Name + ": " + reason
		if !s.trouble[line] && len(s.trouble) < maxTrouble {
			s.trouble[line] = true
			s.app.Warnf("%s; it is asked again at %s", line, t.NextAnnounce.Format(time.TimeOnly))
		}
		return reason
	}
	return ""
}
