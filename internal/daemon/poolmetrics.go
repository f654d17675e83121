package daemon

import "github.com/prometheus/client_golang/prometheus"

// poolMetrics collects the metrics of the pools that limit clients: slots for downloads, live
// pages, handshakes, peers and callbacks.
type poolMetrics struct {
	read func() map[string]poolState // returns the state of each pool by its name
}

// poolState is the state of a pool. It has the fields of [torrent.PoolStats] and
// [site.PoolStats], so that both convert to it.
type poolState struct {
	Slots   int    // number of slots
	Held    int    // number of slots in use
	Refused uint64 // newcomers who got no slot
	Evicted uint64 // holders who lost their slot to a newcomer
}

var (
	poolSlots   = prometheus.NewDesc("spate_pool_places", "Slots, by pool.", []string{"pool"}, nil)
	poolHeld    = prometheus.NewDesc("spate_pool_held", "Slots in use, by pool.", []string{"pool"}, nil)
	poolRefused = prometheus.NewDesc("spate_pool_refused_total", "Newcomers who got no slot, by pool.", []string{"pool"}, nil)
	poolEvicted = prometheus.NewDesc("spate_pool_made_room_total", "Holders who lost their slot to a newcomer, by pool.", []string{"pool"}, nil)
)

// Describe implements [prometheus.Collector].
func (m *poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolSlots, poolHeld, poolRefused, poolEvicted} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *poolMetrics) Collect(ch chan<- prometheus.Metric) {
	for name, p := range m.read() {
		ch <- prometheus.MustNewConstMetric(poolSlots, prometheus.GaugeValue, float64(p.Slots), name)
		ch <- prometheus.MustNewConstMetric(poolHeld, prometheus.GaugeValue, float64(p.Held), name)
		ch <- prometheus.MustNewConstMetric(poolRefused, prometheus.CounterValue, float64(p.Refused), name)
		ch <- prometheus.MustNewConstMetric(poolEvicted, prometheus.CounterValue, float64(p.Evicted), name)
	}
}
