package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spate"
	"spate/internal/fault"
	"spate/publish"
	"spate/torrent"
)

// ReleaseState returns the present state of a release. The API, the site and the metrics all report
// this state.
func (p *Publisher) ReleaseState(ctx context.Context, r *publish.Release) publish.State {
	t := p.session.Torrent(r.Hash())
	switch {
	case r.Paused:
		part, err := p.good.of(ctx, p, r)
		return publish.State{Name: publish.StatePaused, Err: err, Progress: part}
	case t == nil && p.publisher.NotSeeded(r.Hash()) != nil:
		part, _ := p.good.of(ctx, p, r)
		return publish.State{Name: publish.StateFailed, Err: p.publisher.NotSeeded(r.Hash()), Progress: part}
	case t == nil: // the engine is about to get it
		return publish.State{Name: publish.StateChecking}
	}
	st := t.Stats()
	pieces := float64(max(1, st.Pieces))
	switch {
	case st.Err != nil:
		part, _ := p.good.of(ctx, p, r)
		return publish.State{Name: publish.StateFailed, Err: st.Err, Progress: part}
	case st.State == torrent.StateChecking:
		return publish.State{Name: publish.StateChecking, Progress: float64(st.Checked) / pieces}
	case seedsAll(t):
		return publish.State{Name: publish.StateSeeding, Progress: 1}
	}
	_, err := p.good.of(ctx, p, r)
	if err == nil {
		err = publish.ErrChanged
	}
	err = fmt.Errorf("some of the data is gone or has changed since it was published%w", fault.Quiet(err))
	return publish.State{Name: publish.StateFailed, Err: err, Progress: float64(st.PiecesHave) / pieces}
}

// seedsAll reports whether the engine seeds all data of a torrent. A torrent of which it found
// only some pieces seeds those.
func seedsAll(t *torrent.Torrent) bool { return t.State() == torrent.StateSeeding && t.Whole() }

// goodParts caches the results of [publish.Publisher.Good], because the state of a release is
// read often.
type goodParts struct {
	mu    sync.Mutex
	known map[spate.InfoHash]goodPart
}

type goodPart struct {
	part float64
	err  error
	at   time.Time
}

const (
	goodFor      = 10 * time.Second // time for which a result is used
	maxGoodParts = 10_000           // about 1 MB
)

// of returns the part of the data of r that is good, and what is wrong with the rest. The
// result is at most goodFor old.
func (g *goodParts) of(ctx context.Context, p *Publisher, r *publish.Release) (float64, error) {
	now, ih := p.env.Now(), r.Hash()
	g.mu.Lock()
	k, ok := g.known[ih]
	g.mu.Unlock()
	if ok && now.Sub(k.at) < goodFor {
		return k.part, k.err
	}
	part, err := p.publisher.Good(ctx, r)
	if ctx.Err() != nil {
		return part, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil || len(g.known) >= maxGoodParts {
		g.known = map[spate.InfoHash]goodPart{}
	}
	g.known[ih] = goodPart{part, err, now}
	return part, err
}

// stateEvery is the interval at which followStates reads the states of the torrents.
const stateEvery = time.Second

// followStates keeps the tracker and the catalog in step with the engine. A torrent that is not
// seeded, because its files have changed or must be checked, leaves the origins of its swarm.
// When the engine has checked the data and seeds it, the torrent is an origin again, and its
// files count as those that were hashed.
func (p *Publisher) followStates(ctx context.Context) error {
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	last := map[*torrent.Torrent]seedState{}
	for {
		now := map[*torrent.Torrent]seedState{}
		for _, t := range p.session.Torrents() {
			was, known := last[t]
			if !known {
				was.origin = true // as the publisher has told the tracker
			}
			is := p.seedStateOf(t)
			now[t] = is
			if is != was {
				p.stateChanged(ctx, t, was, is)
			}
		}
		last = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// seedState is the part of the state of a torrent that followStates reports.
type seedState struct {
	origin bool // this machine is an origin of the swarm
	whole  bool // the engine seeds all data
}

// seedStateOf returns the present state of a torrent. A torrent whose data was just hashed is
// an origin even before the engine has started it.
func (p *Publisher) seedStateOf(t *torrent.Torrent) seedState {
	whole := seedsAll(t)
	return seedState{whole || t.State() == torrent.StateChecking && !p.publisher.Unverified(t.InfoHash()), whole}
}

// stateChanged handles a change of the state of a torrent.
func (p *Publisher) stateChanged(ctx context.Context, t *torrent.Torrent, was, is seedState) {
	ih := t.InfoHash()
	r, err := p.publisher.Catalog().Find(ctx, ih)
	if err != nil || r.Hash() != ih || r.Paused {
		return // a twin, or a release that is being published or withdrawn
	}
	if is.origin != was.origin {
		err = p.publisher.SetServed(r, is.origin)
	}
	if is.whole && (!was.origin || p.publisher.Unverified(ih)) {
		err = errors.Join(err, p.publisher.Reaccept(ctx, r, func() error { return p.recheck(ctx, r) }))
	}
	if err != nil {
		p.env.Log.Warn("the state of a release could not be updated", "release", r.Ref(), "err", err)
	}
}

var releasesByState = prometheus.NewDesc("spate_releases", "Releases, by state.", []string{"state"}, nil)

// sentToPages counts what downloads in pages cost the site beside their peers.
var sentToPages = prometheus.NewDesc("spate_site_sent_to_pages_bytes_total", "Bytes that the site has sent to downloads in its pages over HTTP.", nil, nil)

// releaseMetrics collects the number of releases in each state, and what the site has sent to
// downloads in pages.
type releaseMetrics struct{ p *Publisher }

// Describe implements [prometheus.Collector].
func (m *releaseMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- releasesByState
	ch <- sentToPages
}

// Collect implements [prometheus.Collector].
func (m *releaseMetrics) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(sentToPages, prometheus.CounterValue, float64(m.p.site.SentToPages()))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	list, _, err := m.p.publisher.Catalog().List(ctx, publish.Query{All: true})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(releasesByState, err)
		return
	}
	n := map[string]int{publish.StateSeeding: 0, publish.StateChecking: 0, publish.StateFailed: 0, publish.StatePaused: 0}
	for _, r := range list {
		n[m.p.ReleaseState(ctx, r).Name]++
	}
	for state, count := range n {
		ch <- prometheus.MustNewConstMetric(releasesByState, prometheus.GaugeValue, float64(count), state)
	}
}
