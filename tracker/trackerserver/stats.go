package trackerserver

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spate"
	"spate/tracker/swarm"
)

// StatsOptions are the settings of [Statistics]. The zero value shows torrents by
// their info-hash only.
type StatsOptions struct {
	// Title is the head of the page; default "Tracker".
	Title string
	// Home is a link to the site that the tracker belongs to, relative to the page;
	// "": to none.
	Home string
	// ShowNames shows the names and sizes of torrents that are known, with what
	// was transferred. HideTorrents shows none at all.
	ShowNames, HideTorrents bool
	// AllowGet serves the .torrent files of torrents that are allowed.
	AllowGet bool
	// MetricsTorrents is the number of torrents, the busiest first, that have
	// metrics of their own; default 0.
	MetricsTorrents int
	// Log has the entries that it lost counted in the metrics; nil: there is none.
	Log *ActivityLog
	// Collectors are metrics of others that are shown beside those of the tracker.
	Collectors []prometheus.Collector
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// maxListed bounds the torrents of a page, and of the JSON.
const maxListed = 500

// Statistics tells what a [Server] does: to people, as JSON, as metrics. Its
// methods may be called concurrently.
type Statistics struct {
	opts    StatsOptions
	began   time.Time
	clients *clientCounts
	series  *series

	mu     sync.Mutex // guards the report that was made last
	report *Report
	made   time.Time
}

// NewStatistics returns statistics that begin now. Observe is for
// Options.Observe of the server, which the other methods are given.
func NewStatistics(o StatsOptions) *Statistics {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Title == "" {
		o.Title = "Tracker"
	}
	now := o.Now()
	return &Statistics{opts: o, began: now, clients: newClientCounts(now), series: newSeries(now)}
}

// Observe counts an announce. It takes no lock and allocates nothing.
func (st *Statistics) Observe(o *Observation) {
	if o.Refused == nil {
		st.clients.now.Load().add(clientMark(&o.Request.PeerID))
	}
}

// Observers returns a function for Options.Observe that calls several.
func Observers(list ...func(*Observation)) func(*Observation) {
	return func(o *Observation) {
		for _, f := range list {
			f(o)
		}
	}
}

// Run keeps the past, until ctx is done.
func (st *Statistics) Run(ctx context.Context, s *Server) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		st.Sample(s)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sample notes the state of s where it is due. Run does that; who does not call
// Run calls it several times a minute.
func (st *Statistics) Sample(s *Server) {
	now := st.opts.Now()
	tot, counts := s.table.Totals(), s.Counts()
	st.series.sample(now, &tot, &counts)
	st.clients.turn(now, s.table.Options().Interval)
}

// Report is everything that [Statistics] tells, at one time.
type Report struct {
	Title   string    `json:"title"`
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`

	Torrents struct {
		Known   int `json:"known"`   // remembered
		Active  int `json:"active"`  // with peers
		Allowed int `json:"allowed"` // published here
	} `json:"torrents"`
	Peers struct {
		All      int `json:"all"`
		Seeders  int `json:"seeders"`
		Leechers int `json:"leechers"`
		IPv4     int `json:"ipv4"`
		IPv6     int `json:"ipv6"`
		Origins  int `json:"origins"` // of the seeders: of this server itself
	} `json:"peers"`
	// Completed counts downloads, Transferred bytes of those whose size is known.
	Completed   uint64 `json:"completed"`
	Transferred int64  `json:"transferred,omitempty"`

	Announces struct {
		All  uint64  `json:"all"`
		HTTP uint64  `json:"http"`
		UDP  uint64  `json:"udp"`
		IPv4 uint64  `json:"ipv4"`
		IPv6 uint64  `json:"ipv6"`
		Rate float64 `json:"per_second"` // of the last minutes
	} `json:"announces"`
	Scrapes struct {
		HTTP uint64 `json:"http"`
		UDP  uint64 `json:"udp"`
	} `json:"scrapes"`
	Refused     uint64 `json:"refused"`
	RateLimited uint64 `json:"rate_limited"`
	Malformed   uint64 `json:"malformed"`
	Unproved    uint64 `json:"unproved"`
	Dropped     uint64 `json:"dropped"`
	Overflowed  uint64 `json:"overflowed"`
	MadeRoom    uint64 `json:"made_room"`
	PeersTold   uint64 `json:"peers_told"`

	Expired         uint64 `json:"expired"`
	EvictedPeers    uint64 `json:"evicted_peers"`
	EvictedTorrents uint64 `json:"evicted_torrents"`
	NotRemembered   uint64 `json:"not_remembered"`
	MemoryBytes     int64  `json:"memory_bytes"`

	Clients []ClientShare `json:"clients"`
	// Busiest is the torrents with the most peers, and those without that are
	// allowed, up to 500.
	Busiest []TorrentStats `json:"busiest,omitempty"`
	Past    []Point        `json:"past"`
	Week    []Point        `json:"week"`
}

// TorrentStats is what is told of one torrent. The two swarms of a hybrid one are
// one entry: a client of both is in both, so the greater counts are the better
// guess.
type TorrentStats struct {
	InfoHash spate.InfoHash `json:"-"`
	Hash     string         `json:"info_hash"`
	Pair     string         `json:"info_hash_pair,omitempty"`
	Name     string         `json:"name,omitempty"`
	Size     int64          `json:"size,omitempty"`
	// As the page of 2005 called them: complete peers, downloading peers,
	// completed downloads, and bytes transferred by those.
	Complete    uint32 `json:"complete"`
	Downloading uint32 `json:"downloading"`
	Downloaded  uint32 `json:"downloaded"`
	Transferred int64  `json:"transferred,omitempty"`
	Torrent     bool   `json:"torrent,omitempty"` // its .torrent can be had
}

// reportAge is how old a report may be that is shown again: the busiest are found
// by looking at all torrents.
const reportAge = 2 * time.Second

// Report tells everything of s. It is shared: do not change it.
func (st *Statistics) Report(s *Server) *Report {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := st.opts.Now()
	if st.report == nil || now.Sub(st.made) >= reportAge || now.Before(st.made) {
		st.report, st.made = st.make(s, now), now
	}
	return st.report
}

func (st *Statistics) make(s *Server, now time.Time) *Report {
	r := &Report{Title: st.opts.Title, Version: spate.Version, Time: now.UTC(), Started: st.began.UTC()}
	tot, c := s.table.Totals(), s.Counts()
	r.Torrents.Known, r.Torrents.Active, r.Torrents.Allowed = tot.Swarms, tot.Active, tot.Protected
	r.Peers.Seeders = tot.Seeders4 + tot.Seeders6 + tot.Pinned
	r.Peers.Leechers = tot.Leechers4 + tot.Leechers6
	r.Peers.All = r.Peers.Seeders + r.Peers.Leechers
	r.Peers.IPv4, r.Peers.IPv6, r.Peers.Origins = tot.Seeders4+tot.Leechers4, tot.Seeders6+tot.Leechers6, tot.Pinned
	r.Completed = tot.Completed

	r.Announces.HTTP, r.Announces.UDP = c.Announces[HTTP], c.Announces[UDP]
	r.Announces.All = r.Announces.HTTP + r.Announces.UDP
	r.Announces.IPv4, r.Announces.IPv6 = c.Announces4, c.Announces6
	r.Scrapes.HTTP, r.Scrapes.UDP = c.Scrapes[HTTP], c.Scrapes[UDP]
	r.Refused, r.RateLimited, r.Malformed, r.Unproved = c.Refused, c.Limited, c.Malformed, c.Unproved
	r.Dropped, r.Overflowed, r.MadeRoom, r.PeersTold = c.Dropped, c.Overflowed, c.MadeRoom, c.Peers
	r.Expired, r.EvictedPeers, r.EvictedTorrents, r.NotRemembered = tot.Expired, tot.EvictedPeers, tot.EvictedSwarms, tot.Refused
	r.MemoryBytes = tot.Bytes

	r.Clients = st.clients.shares()
	r.Past, r.Week = st.series.past(false), st.series.past(true)
	r.Announces.Rate = recentRate(r.Past)
	if !st.opts.HideTorrents {
		r.Busiest = st.busiest(s, now)
		for i := range r.Busiest {
			r.Transferred += r.Busiest[i].Transferred
		}
	}
	return r
}

// recentRate is the announces a second over the last five minutes.
func recentRate(past []Point) float64 {
	n, seconds := uint64(0), 0.0
	for _, p := range past[max(len(past)-5, 0):] {
		n += p.HTTP + p.UDP
		seconds += p.Seconds
	}
	if seconds == 0 {
		return 0
	}
	return float64(n) / seconds
}

// busiest lists torrents: those with the most peers, then allowed ones.
func (st *Statistics) busiest(s *Server, now time.Time) []TorrentStats {
	var list []TorrentStats
	at := map[spate.InfoHash]int{}
	add := func(b swarm.Stats, note Note, known bool) {
		if !known && s.opts.OnlyAllowed {
			return // refused by now, and forgotten soon
		}
		if i, ok := at[note.Pair]; ok && known && note.Pair != (spate.InfoHash{}) {
			list[i].join(b)
			return
		}
		if _, ok := at[b.InfoHash]; ok || len(list) == maxListed {
			return
		}
		at[b.InfoHash] = len(list)
		t := TorrentStats{InfoHash: b.InfoHash, Hash: b.InfoHash.String(), Complete: b.Seeders, Downloading: b.Leechers, Downloaded: b.Completed}
		if known {
			if st.opts.ShowNames {
				t.Name, t.Size = note.Name, note.Size
			}
			t.Torrent = st.opts.AllowGet && note.Torrent != ""
		}
		list = append(list, t)
	}
	for _, b := range s.table.Busiest(maxListed) {
		note, known := s.Note(b.InfoHash)
		add(b, note, known)
	}
	if len(list) < maxListed {
		for ih, note := range s.Allowed() {
			b := swarm.Stats{InfoHash: ih}
			b.Seeders, b.Leechers, b.Completed, _ = s.table.Scrape(now, ih)
			if _, ok := at[ih]; !ok {
				add(b, note, true)
			}
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

// join adds the other swarm of a hybrid torrent.
func (t *TorrentStats) join(b swarm.Stats) {
	if t.InfoHash == b.InfoHash {
		return
	}
	t.Pair = b.InfoHash.String()
	t.Complete, t.Downloading = max(t.Complete, b.Seeders), max(t.Downloading, b.Leechers)
	t.Downloaded = max(t.Downloaded, b.Completed)
}
