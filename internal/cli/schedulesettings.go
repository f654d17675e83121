package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pelletier/go-toml/v2"

	"spate/internal/fault"
	"spate/internal/schedule"
	"spate/internal/units"
)

// scheduleKey is the name of the tables of the settings file with the windows of the schedule.
const scheduleKey = "schedule"

// windowFields are the keys of such a table.
var windowFields = []string{"days", "from", "to", "since", "until", "label", "up", "down", "pause"}

// parseWindows parses the [[schedule]] tables of the settings file.
func parseWindows(path string, tree map[string]any, raw []byte) ([]schedule.Window, error) {
	value := tree[scheduleKey]
	if _, ofVerb := value.(map[string]any); value == nil || ofVerb {
		return nil, nil
	}
	v, ok := value.([]any)
	if !ok {
		return nil, fault.UsageHint("write [[schedule]] with two brackets, and correct "+path, "%s: schedule is not a list of tables", at(path, raw, scheduleKey))
	}
	bad := func(i int, err error) error {
		hint := fault.HintOf(err)
		if hint == "" {
			hint = "correct " + path
		}
		return fault.UsageHint(hint, "%s: number %d of [[schedule]]: %w", at(path, raw, scheduleKey), i+1, err)
	}
	var windows []schedule.Window
	for i, one := range v {
		table, ok := one.(map[string]any)
		if !ok {
			return nil, bad(i, fault.UsageHint("write [[schedule]] with two brackets", "it is no table"))
		}
		w, err := windowOf(table)
		if err == nil {
			err = w.Check()
		}
		if err != nil {
			return nil, bad(i, err)
		}
		windows = append(windows, w)
	}
	if _, err := schedule.New(windows); err != nil {
		return nil, bad(len(windows)-1, err)
	}
	return windows, nil
}

// windowOf converts one table.
func windowOf(table map[string]any) (w schedule.Window, err error) {
	for _, k := range slices.Sorted(maps.Keys(table)) {
		v := table[k]
		switch k {
		case "days":
			var list []string
			if list, err = texts(k, v); err == nil {
				for i, day := range list {
					if i > 0 {
						w.Days += ","
					}
					w.Days += day
				}
			}
		case "from":
			w.From, err = clockText(k, v)
		case "to":
			w.To, err = clockText(k, v)
		case "since":
			w.Since, err = dateText(k, v)
		case "until":
			w.Until, err = dateText(k, v)
		case "label":
			w.Label, err = text(k, v)
		case "up":
			w.Up, err = rateText(k, v)
		case "down":
			w.Down, err = rateText(k, v)
		case "pause":
			var ok bool
			if w.Pause, ok = v.(bool); !ok {
				err = fault.Usagef("pause must be true or false")
			}
		default:
			err = fmt.Errorf("there is no setting %s", k)
			if near := nearest(k, windowFields); near != "" {
				err = fault.UsageHint("did you mean "+near+"?", "%w", err)
			}
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// clockText returns a time of the day, which TOML can also write without quotes.
func clockText(key string, v any) (string, error) {
	if t, ok := v.(toml.LocalTime); ok {
		return fmt.Sprintf("%02d:%02d", t.Hour, t.Minute), nil
	}
	return text(key, v)
}

// dateText returns a date with a time, in quotes or not. Without an offset it is in local time.
func dateText(key string, v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case toml.LocalDateTime:
		return v.AsTime(time.Local), nil
	}
	s, err := text(key, v)
	if err != nil {
		return time.Time{}, err
	}
	return parseDate(s)
}

// parseDate parses a date with a time of the day, in local time unless it has an offset.
func parseDate(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.UsageHint("write for example 2026-12-24 18:00", "%q is no date with a time", s)
}

// rateText returns a rate, which is a text or a number of bytes a second.
func rateText(key string, v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	s, err := text(key, v)
	if err != nil {
		return 0, err
	}
	return units.ParseRate(s)
}
