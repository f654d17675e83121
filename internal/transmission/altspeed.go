package transmission

import "spate/internal/schedule"

// altSpeed returns the fields of session_get about limits by time, from the schedule: whether one of
// its windows applies to the whole daemon now, with the limits of now, and otherwise the limits and
// times of its first window of the week. A schedule can have more windows than the fields can say.
func altSpeed(i *SessionInfo) object {
	limits := i.Now.Limits
	var week schedule.Window
	for _, w := range i.Windows {
		if w.Until.IsZero() {
			week = w
			break
		}
	}
	begin, end, days := week.Clock()
	if limits == (schedule.Limits{}) {
		limits = week.Limits
	}
	mask := 0 // Sunday is 1, Monday 2
	for d, on := range days {
		if on {
			mask |= 1 << d
		}
	}
	return object{
		"alt_speed_enabled": i.Now.Limits != schedule.Limits{}, "alt_speed_up": limits.Up / kilo, "alt_speed_down": limits.Down / kilo,
		"alt_speed_time_enabled": week.Limits != schedule.Limits{}, "alt_speed_time_begin": begin, "alt_speed_time_end": end, "alt_speed_time_day": mask,
	}
}
