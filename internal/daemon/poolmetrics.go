package daemon

import "github.com/prometheus/client_golang/prometheus"

// poolMetrics collects the metrics of the pools that limit clients: slots for downloads, live
// pages, handshakes, peers and callbacks.
type poolMetrics struct {
	read func() map[string]poolState // returns the state of each pool by its name
}

// poolState is the state of a pool. Its names are those of the metrics.
type poolState struct {
	Places, Held      int
	Refused, MadeRoom uint64
}

var (
	poolPlaces   = prometheus.NewDesc("spate_pool_places", "Places, by pool.", []string{"pool"}, nil)
	poolHeld     = prometheus.NewDesc("spate_pool_held", "Places that are held, by pool.", []string{"pool"}, nil)
	poolRefused  = prometheus.NewDesc("spate_pool_refused_total", "Newcomers for whom there was no place, by pool.", []string{"pool"}, nil)
	poolMadeRoom = prometheus.NewDesc("spate_pool_made_room_total", "Holders that were ended for a newcomer, by pool.", []string{"pool"}, nil)
)

// Describe implements [prometheus.Collector].
func (m *poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolPlaces, poolHeld, poolRefused, poolMadeRoom} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *poolMetrics) Collect(ch chan<- prometheus.Metric) {
	for name, p := range m.read() {
		ch <- prometheus.MustNewConstMetric(poolPlaces, prometheus.GaugeValue, float64(p.Places), name)
		ch <- prometheus.MustNewConstMetric(poolHeld, prometheus.GaugeValue, float64(p.Held), name)
		ch <- prometheus.MustNewConstMetric(poolRefused, prometheus.CounterValue, float64(p.Refused), name)
		ch <- prometheus.MustNewConstMetric(poolMadeRoom, prometheus.CounterValue, float64(p.MadeRoom), name)
	}
}
