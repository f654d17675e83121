package daemon

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/schedule"
)

// errNoSchedule is the error of a publisher in the foreground.
func errNoSchedule() error {
	return fault.New(fault.NotFound, "start spate serve, which has a schedule", "spate publish has no schedule")
}

// Schedule returns the schedule, and what applies now.
func (d *Daemon) Schedule() (Schedule, error) {
	if d.timed == nil {
		return Schedule{}, errNoSchedule()
	}
	now := d.env.Now()
	t := d.timed
	t.mu.Lock()
	defer t.mu.Unlock()
	zone, _ := now.Zone()
	if name := now.Location().String(); name != "Local" {
		zone = name
	}
	return Schedule{Settings: append([]schedule.Window{}, t.conf.Windows...), Windows: append([]schedule.Window{}, t.own...), Zone: zone, Now: t.now}, nil
}

// ScheduleNow returns what the schedule says now, or nil if there is none.
func (d *Daemon) ScheduleNow() *schedule.State {
	if d.timed == nil {
		return nil
	}
	d.timed.mu.Lock()
	defer d.timed.mu.Unlock()
	if len(d.timed.table.Windows()) == 0 {
		return nil
	}
	now := d.timed.now
	return &now
}

// Volume returns how much of the monthly volume is used, or nil if there is none.
func (d *Daemon) Volume() *VolumeStatus {
	if d.timed == nil {
		return nil
	}
	return d.timed.volumeStatus(d.env.Now())
}

// SetSchedule replaces the windows that requests have set. Those of the settings stay. When it
// returns, the windows are on the disk and apply. Windows that are over are left out.
func (d *Daemon) SetSchedule(windows []schedule.Window) error {
	if d.timed == nil {
		return errNoSchedule()
	}
	for i := range windows {
		if err := checkLabel(windows[i].Label); err != nil {
			return err
		}
	}
	if err := d.timed.set(windows, d.env.Now()); err != nil {
		return err
	}
	d.applyTimed()
	if d.torrents != nil {
		d.torrents.wake()
	}
	return nil
}

// set replaces the windows that requests have set, and writes them.
func (t *timed) set(windows []schedule.Window, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := schedule.New(windows); err != nil { // with the numbers of the request
		return fault.Usagef("the schedule: %w", err)
	}
	own := withoutOver(windows, now)
	table, err := schedule.New(append(slices.Clone(t.conf.Windows), own...))
	if err != nil {
		return fault.Usagef("the schedule: %w", err)
	}
	b, err := json.Marshal(map[string]any{"windows": own})
	if err == nil {
		err = atomicfile.Replace(filepath.Join(t.state, scheduleFile), b)
	}
	if err != nil {
		return fault.WithSetting(err, "state")
	}
	t.own, t.table, t.at = own, table, time.Time{}
	return nil
}
