package trackerserver

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"spate"
	"spate/tracker"
)

// metric is a number that is read when it is asked for: the paths of requests
// know nothing of metrics.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func(m *moment, emit func(v float64, labels ...string))
}

// moment is what the metrics of one scrape are read from.
type moment struct {
	*Report
	counts Counts
	log    *ActivityLog // or nil
	per    int          // torrents with metrics of their own
}

func counter(name, help string, f func(*moment, func(float64, ...string)), labels ...string) metric {
	return metric{prometheus.NewDesc("spate_tracker_"+name, help, labels, nil), prometheus.CounterValue, f}
}

func gauge(name, help string, f func(*moment, func(float64, ...string)), labels ...string) metric {
	m := counter(name, help, f, labels...)
	m.kind = prometheus.GaugeValue
	return m
}

// one is for metrics with a single value.
func one(f func(*moment) float64) func(*moment, func(float64, ...string)) {
	return func(m *moment, emit func(float64, ...string)) { emit(f(m)) }
}

func newMetrics() []metric {
	return []metric{
		counter("announces_total", "Announces answered, by transport.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Announces.HTTP), "http")
			emit(float64(m.Announces.UDP), "udp")
		}, "transport"),
		counter("announces_by_family_total", "Announces answered, by address family of the request.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Announces.IPv4), "ipv4")
			emit(float64(m.Announces.IPv6), "ipv6")
		}, "family"),
		counter("events_total", "Announces answered, by event.", func(m *moment, emit func(float64, ...string)) {
			for e, n := range m.counts.Events {
				name := tracker.Event(e).String()
				if name == "" {
					name = "update"
				}
				emit(float64(n), name)
			}
		}, "event"),
		counter("scrapes_total", "Scrapes answered, by transport.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Scrapes.HTTP), "http")
			emit(float64(m.Scrapes.UDP), "udp")
		}, "transport"),
		counter("peers_told_total", "Peer addresses in answers.", one(func(m *moment) float64 { return float64(m.PeersTold) })),
		counter("completed_total", "Completed downloads counted since the start.", one(func(m *moment) float64 { return float64(m.counts.Completed) })),
		counter("refused_total", "Requests refused with a reason.", one(func(m *moment) float64 { return float64(m.Refused) })),
		counter("rate_limited_total", "Of those refused: for the rate of their network.", one(func(m *moment) float64 { return float64(m.RateLimited) })),
		counter("malformed_total", "Requests that could not be parsed.", one(func(m *moment) float64 { return float64(m.Malformed) })),
		counter("udp_unproved_total", "UDP requests without a valid connection id.", one(func(m *moment) float64 { return float64(m.Unproved) })),
		counter("udp_connects_total", "UDP connection ids given.", one(func(m *moment) float64 { return float64(m.counts.Connects) })),
		counter("udp_dropped_total", "UDP replies that could not be sent.", one(func(m *moment) float64 { return float64(m.Dropped) })),
		counter("connections_refused_total", "HTTP connections over the cap.", one(func(m *moment) float64 { return float64(m.Overflowed) })),
		counter("connections_ended_total", "HTTP connections that made room for others.", one(func(m *moment) float64 { return float64(m.MadeRoom) })),
		counter("expired_total", "Peers that did not announce any more.", one(func(m *moment) float64 { return float64(m.Expired) })),
		counter("evicted_peers_total", "Peers evicted for others.", one(func(m *moment) float64 { return float64(m.EvictedPeers) })),
		counter("evicted_torrents_total", "Torrents evicted for others.", one(func(m *moment) float64 { return float64(m.EvictedTorrents) })),
		counter("not_remembered_total", "Announces answered but not remembered, for a cap.", one(func(m *moment) float64 { return float64(m.NotRemembered) })),
		counter("log_lost_total", "Entries that the log of downloads lost, because the disk was too slow or failed.", func(m *moment, emit func(float64, ...string)) {
			if m.log != nil {
				slow, failed := m.log.Lost()
				emit(float64(slow), "slow")
				emit(float64(failed), "failed")
			}
		}, "reason"),
		gauge("torrents", "Torrents: known, with peers, published here.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Torrents.Known), "known")
			emit(float64(m.Torrents.Active), "active")
			emit(float64(m.Torrents.Allowed), "allowed")
		}, "state"),
		gauge("peers", "Peers, by role; seeders include origins.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Peers.Seeders), "seeder")
			emit(float64(m.Peers.Leechers), "leecher")
		}, "role"),
		gauge("peers_by_family", "Peers that announced, by address family.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Peers.IPv4), "ipv4")
			emit(float64(m.Peers.IPv6), "ipv6")
		}, "family"),
		gauge("downloads", "Completed downloads of the torrents remembered.", one(func(m *moment) float64 { return float64(m.Completed) })),
		gauge("table_bytes", "Memory of the swarm table.", one(func(m *moment) float64 { return float64(m.MemoryBytes) })),
		gauge("start_time_seconds", "When the tracker started, in seconds since 1970.", one(func(m *moment) float64 { return float64(m.Started.Unix()) })),
		gauge("build_info", "The version, as a label of 1.", func(_ *moment, emit func(float64, ...string)) { emit(1, spate.Version) }, "version"),
		gauge("torrent_peers", "Peers of the busiest torrents, by role.", func(m *moment, emit func(float64, ...string)) {
			for _, t := range m.top() {
				emit(float64(t.Complete), t.Hash, t.Name, "seeder")
				emit(float64(t.Downloading), t.Hash, t.Name, "leecher")
			}
		}, "info_hash", "name", "role"),
		gauge("torrent_downloads", "Completed downloads of the busiest torrents.", func(m *moment, emit func(float64, ...string)) {
			for _, t := range m.top() {
				emit(float64(t.Downloaded), t.Hash, t.Name)
			}
		}, "info_hash", "name"),
	}
}

func (m *moment) top() []TorrentStats { return m.Busiest[:min(m.per, len(m.Busiest))] }

// collector implements prometheus.Collector.
type collector struct {
	st      *Statistics
	s       *Server
	metrics []metric
}

// Collector returns the metrics of s, for a registry that has others too.
func (st *Statistics) Collector(s *Server) prometheus.Collector {
	return &collector{st, s, newMetrics()}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.metrics {
		ch <- c.metrics[i].desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := &moment{Report: c.st.Report(c.s), counts: c.s.Counts(), log: c.st.opts.Log, per: c.st.opts.MetricsTorrents}
	for _, x := range c.metrics {
		x.values(m, func(v float64, labels ...string) {
			for i := range labels {
				labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD") // names come from torrents
			}
			ch <- prometheus.MustNewConstMetric(x.desc, x.kind, v, labels...)
		})
	}
}

// metricsHandler serves the metrics of s, of the process and of Go from a
// registry of its own.
func (st *Statistics) metricsHandler(s *Server) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(st.opts.Collectors...)
	r.MustRegister(st.Collector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return buffered(promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
}

// bufferedWriter keeps an answer.
type bufferedWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *bufferedWriter) WriteHeader(status int)      { w.status = status }
func (w *bufferedWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// buffered returns h such that a client that is slow to read does not make it wait, and so
// does not take up one of a few requests at once.
func buffered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := bufferedWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(&b, r)
		w.WriteHeader(b.status)
		b.body.WriteTo(w)
	})
}
