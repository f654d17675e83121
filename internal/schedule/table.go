package schedule

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"spate/internal/units"
)

// Table is a set of windows. Windows may overlap: then all of their limits hold. Its methods may be
// called concurrently. The zero Table has no windows.
type Table struct {
	windows []Window
	times   []times
}

// New returns a table of windows. The error says which window is not valid.
func New(windows []Window) (*Table, error) {
	if len(windows) > MaxWindows {
		return nil, fmt.Errorf("there are more than %s", units.Plural(MaxWindows, "window"))
	}
	t := &Table{windows: slices.Clone(windows)}
	for i := range t.windows {
		p, err := t.windows[i].parse()
		if err != nil {
			return nil, fmt.Errorf("window %d: %w", i+1, err)
		}
		t.times = append(t.times, p)
	}
	return t, nil
}

// Windows returns the windows of the table.
func (t *Table) Windows() []Window { return slices.Clone(t.windows) }

// State is what a table says for a time.
type State struct {
	Limits                   // of the whole daemon
	Labels map[string]Limits `json:"labels,omitempty"` // of the torrents with a label, in addition to those of the daemon
	Active []Window          `json:"active,omitempty"` // the windows that apply
	Until  time.Time         `json:"until,omitzero"`   // when other windows apply; zero: not within eight days
}

// horizon is how far a table looks for the next change.
const horizon = 8 * 24 * time.Hour

// At returns what applies at now, by the clock of the location of now.
func (t *Table) At(now time.Time) State {
	var s State
	active := t.active(now)
	for i, on := range active {
		if !on {
			continue
		}
		w := t.windows[i]
		s.Active = append(s.Active, w)
		if w.Label == "" {
			s.Limits = s.Limits.And(w.Limits)
			continue
		}
		if s.Labels == nil {
			s.Labels = map[string]Limits{}
		}
		s.Labels[w.Label] = s.Labels[w.Label].And(w.Limits)
	}
	s.Until = t.next(now, active)
	return s
}

// Equal reports whether both states have the same limits.
func (s *State) Equal(o *State) bool { return s.Limits == o.Limits && maps.Equal(s.Labels, o.Labels) }

// active returns for each window whether it applies.
func (t *Table) active(now time.Time) []bool {
	out := make([]bool, len(t.windows))
	for i := range t.windows {
		out[i] = t.windows[i].applies(&t.times[i], now)
	}
	return out
}

// next returns when other windows apply than active, which apply at now, or the zero time. The
// offset of local time is constant between two changes of the clock, so that next looks for the
// limits of windows in one such period after the other.
func (t *Table) next(now time.Time, active []bool) time.Time {
	last := now.Add(horizon)
	for at := now; at.Before(last); {
		_, end := at.ZoneBounds()
		for _, c := range t.borders(at, last) {
			if !end.IsZero() && !c.Before(end) {
				break
			}
			if !slices.Equal(t.active(c.In(now.Location())), active) {
				return c.In(now.Location())
			}
		}
		if end.IsZero() || end.After(last) {
			break
		}
		at = end.In(now.Location())
		if !slices.Equal(t.active(at), active) {
			return at
		}
	}
	return time.Time{}
}

// borders returns the times after at and up to last at which windows begin or end if the offset of
// local time stays that of at, in order.
func (t *Table) borders(at, last time.Time) (list []time.Time) {
	_, offset := at.Zone()
	zone := time.FixedZone("", offset)
	year, month, day := at.In(zone).Date()
	add := func(c time.Time) {
		if c.After(at) && !c.After(last) {
			list = append(list, c)
		}
	}
	for i := range t.windows {
		if t.times[i].once {
			add(t.windows[i].Since)
			add(t.windows[i].Until)
			continue
		}
		for d := range int(horizon/(24*time.Hour)) + 1 {
			add(time.Date(year, month, day+d, 0, t.times[i].from, 0, 0, zone))
			add(time.Date(year, month, day+d, 0, t.times[i].to, 0, 0, zone))
		}
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}
