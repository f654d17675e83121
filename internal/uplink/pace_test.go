package uplink

import "testing"

// TestDivide checks that sockets that hold data share what the others leave by what was written
// to them.
func TestDivide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		senders []sender
		want    []float64
	}{
		{"none holds data", []sender{{wrote: 400, now: 400}, {wrote: 100, now: 100}}, []float64{1000, 1000}},
		{"one holds data", []sender{{wrote: 400, now: 400}, {wrote: 100, now: 100, held: true}}, []float64{1000, 1000}},
		{"all hold data", []sender{{wrote: 300, held: true}, {wrote: 100, held: true}}, []float64{750, 250}},
		{"one is new", []sender{{wrote: 400, held: true}, {held: true}}, []float64{1000, 125}},
		{"one holds nothing", []sender{{wrote: 600, now: 600}, {wrote: 300, held: true}, {wrote: 100, held: true}}, []float64{1000, 300, 100}},
		{"nothing was written lately", []sender{{held: true}, {held: true}}, []float64{500, 500}},
		{"nothing remains", []sender{{wrote: 600, now: 2000}, {wrote: 30, held: true}, {wrote: 30, held: true}}, []float64{1000, 25, 25}},
	} {
		got := divide(1000, c.senders)
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: sender %d may send %v, want %v", c.what, i, got[i], c.want[i])
			}
		}
	}
}
