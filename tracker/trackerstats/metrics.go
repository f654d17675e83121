package trackerstats

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"spate"
	"spate/tracker"
)

// metric is a group of numbers that is read when the metrics are requested, so that
// metrics cost nothing when a request to the tracker is answered.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func(m *moment, emit func(v float64, labels ...string))
}

// moment is the state that the metrics are read from.
type moment struct {
	*Report
	counts  tracker.Counts
	logLost func() (dropped, failed uint64) // nil if there is no log
	most    int                             // number of torrents with metrics of their own
}

func counter(name, help string, f func(*moment, func(float64, ...string)), labels ...string) metric {
	return metric{prometheus.NewDesc("spate_tracker_"+name, help, labels, nil), prometheus.CounterValue, f}
}

func gauge(name, help string, f func(*moment, func(float64, ...string)), labels ...string) metric {
	m := counter(name, help, f, labels...)
	m.kind = prometheus.GaugeValue
	return m
}

// one returns the values of a metric with a single value.
func one(f func(*moment) float64) func(*moment, func(float64, ...string)) {
	return func(m *moment, emit func(float64, ...string)) { emit(f(m)) }
}

func newMetrics() []metric {
	return []metric{
		counter("announces_total", "Announces answered, by transport.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Announces.HTTP), "http")
			emit(float64(m.Announces.UDP), "udp")
			emit(float64(m.Announces.WebSocket), "websocket")
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
			emit(float64(m.Scrapes.WebSocket), "websocket")
		}, "transport"),
		counter("signals_total", "Offers and answers of WebRTC connections handed to WebSocket clients.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.WebSocket.Offers), "offer")
			emit(float64(m.WebSocket.Answers), "answer")
		}, "kind"),
		counter("stun_answered_total", "STUN requests answered.", one(func(m *moment) float64 { return float64(m.STUN) })),
		counter("peers_told_total", "Peer addresses in answers.", one(func(m *moment) float64 { return float64(m.PeersSent) })),
		counter("completed_total", "Completed downloads counted since the start.", one(func(m *moment) float64 { return float64(m.counts.Completed) })),
		counter("refused_total", "Requests refused with a reason.", one(func(m *moment) float64 { return float64(m.Refused) })),
		counter("rate_limited_total", "Requests refused because their network exceeded its rate.", one(func(m *moment) float64 { return float64(m.RateLimited) })),
		counter("malformed_total", "Requests that could not be parsed.", one(func(m *moment) float64 { return float64(m.Malformed) })),
		counter("udp_unproved_total", "UDP requests without a valid connection id.", one(func(m *moment) float64 { return float64(m.Unproved) })),
		counter("udp_connects_total", "UDP connection ids issued.", one(func(m *moment) float64 { return float64(m.counts.Connects) })),
		counter("udp_dropped_total", "Answers that did not fit into the send buffer of a socket.", one(func(m *moment) float64 { return float64(m.Dropped) })),
		counter("connections_refused_total", "HTTP connections closed at once because the limit was reached.", one(func(m *moment) float64 { return float64(m.Overflowed) })),
		counter("connections_ended_total", "HTTP connections closed so that others could be accepted.", one(func(m *moment) float64 { return float64(m.Ended) })),
		counter("expired_total", "Peers removed because they stopped announcing.", one(func(m *moment) float64 { return float64(m.Expired) })),
		counter("evicted_peers_total", "Peers evicted because a limit was reached.", one(func(m *moment) float64 { return float64(m.EvictedPeers) })),
		counter("evicted_torrents_total", "Torrents evicted because a limit was reached.", one(func(m *moment) float64 { return float64(m.EvictedTorrents) })),
		counter("not_remembered_total", "Announces answered but not stored, because a limit was reached.", one(func(m *moment) float64 { return float64(m.NotRemembered) })),
		counter("log_lost_total", "Entries that the download log lost because the disk was too slow or failed.", func(m *moment, emit func(float64, ...string)) {
			if m.logLost != nil {
				slow, failed := m.logLost()
				emit(float64(slow), "slow")
				emit(float64(failed), "failed")
			}
		}, "reason"),
		gauge("torrents", "Torrents: known, with peers, allowed.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Torrents.Known), "known")
			emit(float64(m.Torrents.Active), "active")
			emit(float64(m.Torrents.Allowed), "allowed")
		}, "state"),
		gauge("peers", "Peers, by role; seeders include origins.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Peers.Seeders), "seeder")
			emit(float64(m.Peers.Leechers), "leecher")
		}, "role"),
		gauge("websocket_connections", "WebSocket clients that are connected.", one(func(m *moment) float64 { return float64(m.WebSocket.Connections) })),
		gauge("peers_by_family", "Peers that announced, by address family.", func(m *moment, emit func(float64, ...string)) {
			emit(float64(m.Peers.IPv4), "ipv4")
			emit(float64(m.Peers.IPv6), "ipv6")
		}, "family"),
		gauge("downloads", "Completed downloads of the known torrents.", one(func(m *moment) float64 { return float64(m.Completed) })),
		gauge("table_bytes", "Memory of the peers in bytes.", one(func(m *moment) float64 { return float64(m.MemoryBytes) })),
		gauge("start_time_seconds", "When the tracker started, in seconds since 1970.", one(func(m *moment) float64 { return float64(m.Started.Unix()) })),
		gauge("build_info", "The value is always 1; the label is the version.", func(_ *moment, emit func(float64, ...string)) { emit(1, spate.Version) }, "version"),
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

func (m *moment) top() []TorrentStats { return m.Busiest[:min(m.most, len(m.Busiest))] }

// collector implements prometheus.Collector.
type collector struct {
	st      *Statistics
	t       Tracker
	metrics []metric
}

// Collector returns the metrics of t, for a registry of the caller. The handler of
// [Statistics.Handler] serves them at /metrics.
func (st *Statistics) Collector(t Tracker) prometheus.Collector {
	return &collector{st, t, newMetrics()}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.metrics {
		ch <- c.metrics[i].desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := &moment{Report: c.st.Report(c.t), counts: c.t.Counts(), logLost: c.st.opts.LogLost, most: c.st.opts.MetricsTorrents}
	for _, x := range c.metrics {
		x.values(m, func(v float64, labels ...string) {
			for i := range labels {
				labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD") // names of torrents may be any bytes
			}
			ch <- prometheus.MustNewConstMetric(x.desc, x.kind, v, labels...)
		})
	}
}

// metricsHandler serves the metrics of t, of Options.Collectors, of the process and of Go.
func (st *Statistics) metricsHandler(t Tracker) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(st.opts.Collectors...)
	r.MustRegister(st.Collector(t), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return buffered(promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
}

// bufferedWriter holds the answer of a handler.
type bufferedWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *bufferedWriter) WriteHeader(status int)      { w.status = status }
func (w *bufferedWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// buffered returns a handler that sends the answer of h after h has returned, so that a
// client that reads slowly does not use up the requests that h limits. The answer to HEAD
// has the header of the answer to GET.
func buffered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := bufferedWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(&b, r)
		w.Header().Set("Content-Length", strconv.Itoa(b.body.Len()))
		w.WriteHeader(b.status)
		if r.Method != http.MethodHead {
			b.body.WriteTo(w)
		}
	})
}
