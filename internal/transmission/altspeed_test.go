package transmission

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"spate/internal/schedule"
)

// TestAltSpeedShowsSchedule checks how the fields for limits by time show a schedule.
func TestAltSpeedShowsSchedule(t *testing.T) {
	t.Parallel()
	night := schedule.Window{Days: "mon-fri", From: "22:00", To: "06:30", Limits: schedule.Limits{Up: 500_000, Down: 2_000_000}}
	for name, test := range map[string]struct {
		info SessionInfo
		want object
	}{
		"no schedule": {SessionInfo{}, object{
			"alt_speed_enabled": false, "alt_speed_up": int64(0), "alt_speed_down": int64(0),
			"alt_speed_time_enabled": false, "alt_speed_time_begin": 0, "alt_speed_time_end": 0, "alt_speed_time_day": 0,
		}},
		"a window that does not apply now": {SessionInfo{Windows: []schedule.Window{night}}, object{
			"alt_speed_enabled": false, "alt_speed_up": int64(500), "alt_speed_down": int64(2000),
			"alt_speed_time_enabled": true, "alt_speed_time_begin": 22 * 60, "alt_speed_time_end": 6*60 + 30, "alt_speed_time_day": 62,
		}},
		"another limit applies now": {SessionInfo{Windows: []schedule.Window{night}, Now: schedule.State{Limits: schedule.Limits{Up: 90_000}}}, object{
			"alt_speed_enabled": true, "alt_speed_up": int64(90), "alt_speed_down": int64(0),
			"alt_speed_time_enabled": true, "alt_speed_time_begin": 22 * 60, "alt_speed_time_end": 6*60 + 30, "alt_speed_time_day": 62,
		}},
	} {
		if diff := cmp.Diff(test.want, altSpeed(&test.info)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
