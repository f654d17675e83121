package daemon

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spate/internal/fault"
	"spate/internal/ipfilter"
	"spate/internal/units"
)

// filterEvery is the interval in which the files of the IP filter are looked at. A changed file is
// read at the next look.
const filterEvery = 10 * time.Second

// openIPFilter reads the lists of addresses that peers may not have, or returns nil if there are no
// files.
func (e *Env) openIPFilter(files []string) (*ipfilter.Filter, error) {
	if len(files) == 0 {
		return nil, nil
	}
	f, err := ipfilter.Open(files, e.Warnf)
	if err != nil {
		return nil, fault.WithSetting(fault.Usagef("%w", err), "ip-filter")
	}
	e.Log.Info("IP filter", "ranges", f.Status().Ranges)
	return f, nil
}

// followFilter reads the lists again when a file changes, until ctx ends, and closes the connections
// to addresses that are blocked now.
func (s *Session) followFilter(ctx context.Context) {
	s.filter.Run(ctx, filterEvery, func() {
		s.DropBlocked()
		s.env.Notef("the IP filter was read again: %s", units.Plural(s.filter.Status().Ranges, "range"))
	})
}

// IPFilter returns the state of the IP filter, and whether there is one.
func (s *Session) IPFilter() (ipfilter.Status, bool) {
	if s.filter == nil {
		return ipfilter.Status{}, false
	}
	return s.filter.Status(), true
}

// IPFilter returns the state of the IP filter, and whether there is one.
func (p *Publisher) IPFilter() (ipfilter.Status, bool) { return p.session.IPFilter() }

var (
	filterRanges  = prometheus.NewDesc("spate_ip_filter_ranges", "Ranges of addresses that the IP filter blocks.", nil, nil)
	filterBlocked = prometheus.NewDesc("spate_ip_filter_blocked_total", "Addresses and connections of peers that the IP filter refused.", nil, nil)
)

// filterMetrics collects the metrics of the IP filter, if there is one.
type filterMetrics struct{ p *Publisher }

// Describe implements [prometheus.Collector].
func (m *filterMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- filterRanges
	ch <- filterBlocked
}

// Collect implements [prometheus.Collector].
func (m *filterMetrics) Collect(ch chan<- prometheus.Metric) {
	if st, on := m.p.IPFilter(); on {
		ch <- prometheus.MustNewConstMetric(filterRanges, prometheus.GaugeValue, float64(st.Ranges))
		ch <- prometheus.MustNewConstMetric(filterBlocked, prometheus.CounterValue, float64(st.Blocked))
	}
}
