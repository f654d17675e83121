// Package trackerstats serves the statistics of a tracker: as a page for people, as JSON
// and as Prometheus metrics. It reads the swarms and counters of a [Tracker], and counts
// the clients that announce. The package does not depend on the tracker that serves the
// announces.
package trackerstats

import (
	"cmp"
	"context"
	"html/template"
	"iter"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spate"
	"spate/internal/lang"
	"spate/tracker"
	"spate/tracker/swarm"
)

// Tracker is the part of a tracker that [Statistics] reads. The type Server of package
// trackerserver implements it. Its methods must be safe for concurrent use.
type Tracker interface {
	// Store returns the swarms of the tracker.
	Store() swarm.Store
	// Counts returns the numbers of requests since the tracker was created.
	Counts() tracker.Counts
	// OnlyAllowed reports whether the tracker serves only torrents of Allowed.
	OnlyAllowed() bool
	// Allowed iterates over the torrents that were allowed explicitly.
	Allowed() iter.Seq2[spate.InfoHash, tracker.Note]
	// Note returns the note about a torrent. ok is false if it is not one of
	// Allowed.
	Note(ih spate.InfoHash) (note tracker.Note, ok bool)
	// TorrentFile returns the base name and the content of the .torrent file of one of
	// Allowed. The error is fs.ErrNotExist if there is none.
	TorrentFile(ih spate.InfoHash) (name string, data []byte, err error)
}

// Options configures [Statistics]. With the zero value, torrents are shown by their
// info-hash only.
type Options struct {
	// Title is the title of the page; default "Tracker", in the language of the visitor.
	Title string
	// Home is the URL, relative to the page, of the site that the tracker belongs to;
	// empty if there is none.
	Home string
	// Site is the name of that site, at the top of the page; default "spate".
	Site string
	// CookiePath is the path for which browsers remember the language that a visitor chooses on the
	// page, such as "/pub/"; default the directory of the page. The page is in English, German, Spanish
	// or Chinese, as the parameter lang, the cookie spate-lang or the browser says.
	CookiePath string
	// ShowNames shows the names and sizes of torrents where they are known, and the
	// bytes transferred. HideTorrents shows no torrents at all.
	ShowNames, HideTorrents bool
	// AllowGet serves the .torrent files of torrents that are allowed.
	AllowGet bool
	// MayMeasure reports whether a request may get the metrics. If not, the page has no link to
	// them. nil allows all requests.
	MayMeasure func(*http.Request) bool
	// MetricsTorrents is the number of torrents that have metrics of their own, the
	// busiest first; default 0.
	MetricsTorrents int
	// LogLost returns the numbers of entries that the download log has lost, for the
	// metrics; nil if there is no log.
	LogLost func() (dropped, failed uint64)
	// Collectors are further metrics for /metrics.
	Collectors []prometheus.Collector
	// Log receives errors of the pages; nil discards them.
	Log *slog.Logger
	// Now is the clock; nil selects time.Now.
	Now func() time.Time
}

// maxListed limits the number of torrents in a report.
const maxListed = 500

// Statistics collects statistics of one tracker and serves them. Its methods are safe for
// concurrent use.
type Statistics struct {
	opts    Options
	started time.Time
	clients *clientCounts
	series  *series

	languages *lang.Languages
	pages     map[string]*template.Template // by the code of the language

	mu     sync.Mutex // guards the fields below
	report *Report    // the last report
	made   time.Time  // when report was made, or last found unchanged
}

// New returns statistics that start now. The tracker must call [Statistics.Observe] for
// each announce. The other methods must all be given that tracker.
func New(o Options) *Statistics {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Site == "" {
		o.Site = "spate"
	}
	languages, pages, err := parsePages()
	if err != nil {
		panic(err) // the files are embedded
	}
	now := o.Now()
	return &Statistics{opts: o, started: now, clients: newClientCounts(now), series: newSeries(now), languages: languages, pages: pages}
}

// Observe counts the peer of an announce. It takes no lock and allocates nothing.
func (st *Statistics) Observe(o *tracker.Observation) {
	if !o.Refused {
		st.clients.add(countedPeer{o.Request.PeerID, cmp.Or(o.Release, o.Request.InfoHash)})
	}
}

// sampleEvery is the time between two calls of Sample by Run.
const sampleEvery = 10 * time.Second

// Run collects the points of the charts until ctx is done. The error is always nil.
func (st *Statistics) Run(ctx context.Context, t Tracker) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		st.Sample(t)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sample adds a point to the charts if the last one is old enough. Run calls it; a
// program without Run calls it several times a minute.
func (st *Statistics) Sample(t Tracker) {
	now := st.opts.Now()
	tot, _ := totals(t, releasesOf(t), now)
	counts := t.Counts()
	st.series.sample(now, &tot, &counts)
	st.clients.advance(now, t.Store().Options().Interval)
}

// Report holds all statistics of a tracker at one time.
type Report struct {
	Title   string `json:"title"`
	Version string `json:"version"` // version of spate
	// Time is when the other fields were last seen to change, at most a minute ago.
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`

	Torrents struct {
		Known   int `json:"known"`   // torrents in the store
		Active  int `json:"active"`  // torrents with peers
		Allowed int `json:"allowed"` // torrents that are allowed explicitly
	} `json:"torrents"`
	Peers struct {
		All      int `json:"all"`
		Seeders  int `json:"seeders"`
		Leechers int `json:"leechers"`
		IPv4     int `json:"ipv4"`
		IPv6     int `json:"ipv6"`
		Origins  int `json:"origins"` // seeders of this server itself
		// WebSocket are the browsers among the seeders and leechers. They have no address and
		// are in neither IPv4 nor IPv6.
		WebSocket int `json:"websocket"`
	} `json:"peers"`
	// Completed is the number of completed downloads. Transferred is the number of
	// bytes of those whose size is known.
	Completed   uint64 `json:"completed"`
	Transferred int64  `json:"transferred,omitempty"`

	Announces struct {
		All  uint64 `json:"all"`
		HTTP uint64 `json:"http"`
		UDP  uint64 `json:"udp"`
		// WebSocket are the announces over WebSocket, as browsers send them.
		WebSocket uint64  `json:"websocket"`
		IPv4      uint64  `json:"ipv4"`
		IPv6      uint64  `json:"ipv6"`
		Rate      float64 `json:"per_second"` // average of the last five minutes
	} `json:"announces"`
	Scrapes struct {
		HTTP      uint64 `json:"http"`
		UDP       uint64 `json:"udp"`
		WebSocket uint64 `json:"websocket"`
	} `json:"scrapes"`
	// WebSocket describes the clients that are connected over WebSocket.
	WebSocket struct {
		Connections uint64 `json:"connections"` // open now
		Offers      uint64 `json:"offers"`      // handed to other clients
		Answers     uint64 `json:"answers"`     // handed back
	} `json:"websocket"`
	// STUN is the number of answered STUN requests.
	STUN uint64 `json:"stun"`
	// The fields below are described at the type Counts of package tracker.
	Refused     uint64 `json:"refused"`
	RateLimited uint64 `json:"rate_limited"`
	Malformed   uint64 `json:"malformed"`
	Unproved    uint64 `json:"unproved"`
	Dropped     uint64 `json:"dropped"`
	Overflowed  uint64 `json:"overflowed"`
	Ended       uint64 `json:"made_room"`
	PeersSent   uint64 `json:"peers_told"`

	// The fields below are described at the type Totals of package swarm.
	Expired         uint64 `json:"expired"`
	EvictedPeers    uint64 `json:"evicted_peers"`
	EvictedTorrents uint64 `json:"evicted_torrents"`
	NotRemembered   uint64 `json:"not_remembered"`
	MemoryBytes     int64  `json:"memory_bytes"`

	Clients []ClientShare `json:"clients"`
	// Busiest are the torrents with the most peers, and the allowed torrents without
	// peers, up to 500.
	Busiest []TorrentStats `json:"busiest,omitempty"`
	// Past are the points of the last hours, and Week those of the last week, the
	// oldest first.
	Past []Point `json:"past"`
	Week []Point `json:"week"`
}

// TorrentStats are the statistics of one torrent. The two swarms of a hybrid torrent are
// one entry with the greater counts, because most clients are in both swarms. The swarms of other
// torrents with the same data are part of that entry: see Release of [tracker.Note].
type TorrentStats struct {
	InfoHash spate.InfoHash `json:"-"`
	Hash     string         `json:"info_hash"`                // InfoHash in hexadecimal
	Pair     string         `json:"info_hash_pair,omitempty"` // the other info-hash of a hybrid torrent
	Name     string         `json:"name,omitempty"`
	Size     int64          `json:"size,omitempty"` // size of the data in bytes
	// Complete and Downloading are numbers of peers, and Downloaded is the number of
	// completed downloads, named as on the page of bttrack. Transferred is Downloaded
	// times Size.
	Complete    uint32 `json:"complete"`
	Downloading uint32 `json:"downloading"`
	Downloaded  uint32 `json:"downloaded"`
	Transferred int64  `json:"transferred,omitempty"`
	Torrent     bool   `json:"torrent,omitempty"` // the .torrent file is served
}

// reportAge is the age up to which a report is reused, because making one examines all
// swarms.
const reportAge = 2 * time.Second

// unchangedAge is the age up to which a report without changes is kept with its Time. The
// pages then stay the same to the byte, and a client that polls them gets 304.
const unchangedAge = time.Minute

// Report returns the statistics of t, which may be two seconds old. The report is shared:
// the caller must not change it.
func (st *Statistics) Report(t Tracker) *Report {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := st.opts.Now()
	if st.report == nil || now.Sub(st.made) >= reportAge || now.Before(st.made) {
		r := st.make(t, now)
		if !st.report.stands(r) {
			st.report = r
		}
		st.made = now
	}
	return st.report
}

// stands reports whether r can be kept in place of the newer report next, because only
// the time has changed, by less than unchangedAge.
func (r *Report) stands(next *Report) bool {
	if r == nil || next.Time.Before(r.Time) || next.Time.Sub(r.Time) >= unchangedAge {
		return false
	}
	same := *next
	same.Time = r.Time
	return reflect.DeepEqual(r, &same)
}

func (st *Statistics) make(t Tracker, now time.Time) *Report {
	r := &Report{Title: cmp.Or(st.opts.Title, "Tracker"), Version: spate.Version, Time: now.UTC(), Started: st.started.UTC()}
	releases := releasesOf(t)
	tot, origins := totals(t, releases, now)
	c := t.Counts()
	r.Torrents.Known, r.Torrents.Active, r.Torrents.Allowed = tot.Swarms, tot.Active, tot.Protected
	r.Peers.Seeders = tot.Seeders()
	r.Peers.Leechers = tot.Leechers()
	r.Peers.All = r.Peers.Seeders + r.Peers.Leechers
	r.Peers.WebSocket = tot.SocketSeeders + tot.SocketLeechers
	r.Peers.IPv4, r.Peers.IPv6, r.Peers.Origins = tot.Seeders4+tot.Leechers4, tot.Seeders6+tot.Leechers6, origins
	r.Completed = tot.Completed

	r.Announces.HTTP, r.Announces.UDP, r.Announces.WebSocket = c.Announces[tracker.HTTP], c.Announces[tracker.UDP], c.Announces[tracker.WebSocket]
	r.Announces.All = r.Announces.HTTP + r.Announces.UDP + r.Announces.WebSocket
	r.Announces.IPv4, r.Announces.IPv6 = c.Announces4, c.Announces6
	r.Scrapes.HTTP, r.Scrapes.UDP, r.Scrapes.WebSocket = c.Scrapes[tracker.HTTP], c.Scrapes[tracker.UDP], c.Scrapes[tracker.WebSocket]
	r.WebSocket.Connections, r.WebSocket.Offers, r.WebSocket.Answers, r.STUN = c.Sockets, c.Offers, c.Answers, c.STUN
	r.Refused, r.RateLimited, r.Malformed, r.Unproved = c.Refused, c.Limited, c.Malformed, c.Unproved
	r.Dropped, r.Overflowed, r.Ended, r.PeersSent = c.Dropped, c.Overflowed, c.Ended, c.Peers
	r.Expired, r.EvictedPeers, r.EvictedTorrents, r.NotRemembered = tot.Expired, tot.EvictedPeers, tot.EvictedSwarms, tot.Refused
	r.MemoryBytes = tot.Bytes

	r.Clients = st.clients.shares()
	r.Past, r.Week = st.series.points()
	r.Announces.Rate = recentRate(r.Past)
	if !st.opts.HideTorrents {
		r.Busiest = st.busiest(t, releases, now)
		for i := range r.Busiest {
			r.Transferred += r.Busiest[i].Transferred
		}
	}
	return r
}

// recentRate returns the announces per second in the last five points.
func recentRate(past []Point) float64 {
	n, seconds := uint64(0), 0.0
	for _, p := range past[max(len(past)-5, 0):] {
		n += p.HTTP + p.UDP + p.WebSocket
		seconds += p.Seconds
	}
	if seconds == 0 {
		return 0
	}
	return float64(n) / seconds
}

// busiest returns up to maxListed torrents: those with the most peers, then other
// allowed ones.
func (st *Statistics) busiest(t Tracker, releases map[spate.InfoHash]*release, now time.Time) []TorrentStats {
	var list []TorrentStats
	listed := map[spate.InfoHash]bool{}
	onlyAllowed := t.OnlyAllowed()
	add := func(b swarm.Stats, note tracker.Note, known bool) {
		if !known && onlyAllowed {
			return // the torrent is not allowed any more; its peers will expire
		}
		ts := statsOf(b)
		if r := releases[b.InfoHash]; r != nil && known {
			ts, note = r.statsOf(t, now), r.noteOf(t, note)
		}
		if listed[ts.InfoHash] || len(list) == maxListed {
			return
		}
		listed[ts.InfoHash] = true
		if known {
			if st.opts.ShowNames {
				ts.Name, ts.Size = note.Name, note.Size
			}
			ts.Torrent = st.opts.AllowGet && note.Torrent != ""
		}
		list = append(list, ts)
	}
	for _, b := range t.Store().Busiest(maxListed) {
		note, known := t.Note(b.InfoHash)
		add(b, note, known)
	}
	if len(list) < maxListed {
		for ih, note := range t.Allowed() {
			b := swarm.Stats{InfoHash: ih}
			b.Seeders, b.Leechers, b.Completed, _ = t.Store().Scrape(now, ih)
			add(b, note, true)
			if len(list) == maxListed {
				break
			}
		}
	}
	for i := range list {
		list[i].Transferred = int64(list[i].Downloaded) * list[i].Size
	}
	slices.SortStableFunc(list, func(a, b TorrentStats) int {
		return cmp.Or(
			cmp.Compare(b.Complete+b.Downloading, a.Complete+a.Downloading),
			cmp.Compare(b.Downloaded, a.Downloaded), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Hash, b.Hash))
	})
	return list
}
