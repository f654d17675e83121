package daemon

import (
	"testing"

	"spate/internal/uplink"
)

// TestRoomOfUplink checks how much the uplink could send in addition. A line that was never full
// has no known room, and a line that others fill has none.
func TestRoomOfUplink(t *testing.T) {
	for _, c := range []struct {
		st   uplink.Status
		want int64
	}{
		{uplink.Status{Mode: uplink.Learned}, 0},
		{uplink.Status{Mode: uplink.Learned, Rate: 5}, 0},
		{uplink.Status{Mode: uplink.Learned, Limit: 100, Capacity: 110, Rate: 30}, 70},
		{uplink.Status{Mode: uplink.Learned, Capacity: 110, Rate: 30}, 80},
		{uplink.Status{Mode: uplink.Learned, Capacity: 110, Rate: 130}, 0},
		{uplink.Status{Mode: uplink.Learned, Capacity: 110, Foreign: true}, 0},
		{uplink.Status{Mode: uplink.Given, Limit: 100, Rate: 40}, 60},
		{uplink.Status{Mode: uplink.Off}, 0},
		{uplink.Status{Mode: uplink.Unsupported}, 0},
	} {
		if got := roomOf(c.st); got != c.want {
			t.Errorf("%+v: room for %d, want %d", c.st, got, c.want)
		}
	}
}
