package daemon

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"spate/internal/uplink"
	"spate/site"
)

// Uplink returns what the session knows about the uplink.
func (s *Session) Uplink() uplink.Status {
	up := s.up.Load()
	switch {
	case up > 0:
		return uplink.Status{Mode: uplink.Given, Limit: up}
	case s.line == nil:
		return uplink.Status{Mode: uplink.Off}
	}
	return s.line.Status()
}

// httpUplink returns the limits of direct downloads, or nil if the session learns none. Peers
// are served first.
func (s *Session) httpUplink() func(*http.Request) site.SendLimit {
	if s.line == nil {
		return nil
	}
	return func(r *http.Request) site.SendLimit {
		socket, _ := r.Context().Value(socketKey{}).(*uplink.Socket)
		return socket
	}
}

// Uplink returns what the publisher knows about the uplink.
func (p *Publisher) Uplink() uplink.Status {
	st := p.session.Uplink()
	if up, _ := p.rates.timedLimits().Rates(); up > 0 && (st.Limit == 0 || up < st.Limit) {
		st.Mode, st.Limit, st.Foreign = uplink.Scheduled, up, false
	}
	return st
}

var (
	uplinkLimit    = prometheus.NewDesc("spate_uplink_limit_bytes", "Limit of all senders in bytes per second; 0: none.", nil, nil)
	uplinkCapacity = prometheus.NewDesc("spate_uplink_capacity_bytes", "Last known capacity of the line in bytes per second; 0: unknown.", nil, nil)
	uplinkRate     = prometheus.NewDesc("spate_uplink_rate_bytes", "Bytes per second that were acknowledged in the last second.", nil, nil)
	uplinkQueue    = prometheus.NewDesc("spate_uplink_queue_seconds", "Delay of the queue that the sockets share.", nil, nil)
)

// uplinkMetrics collects what a publisher knows about the uplink.
type uplinkMetrics struct{ p *Publisher }

// Describe implements [prometheus.Collector].
func (m *uplinkMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{uplinkLimit, uplinkCapacity, uplinkRate, uplinkQueue} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *uplinkMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.p.Uplink()
	ch <- prometheus.MustNewConstMetric(uplinkLimit, prometheus.GaugeValue, float64(s.Limit))
	ch <- prometheus.MustNewConstMetric(uplinkCapacity, prometheus.GaugeValue, float64(s.Capacity))
	ch <- prometheus.MustNewConstMetric(uplinkRate, prometheus.GaugeValue, float64(s.Rate))
	ch <- prometheus.MustNewConstMetric(uplinkQueue, prometheus.GaugeValue, s.QueueMS/1000)
}
