package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/onevent"
	"spate/internal/schedule"
	"spate/internal/units"
)

// TimedConfig configures the limits of a daemon that depend on the time.
type TimedConfig struct {
	Windows []schedule.Window // of the settings; requests cannot change them
	Volume  schedule.Volume
}

// Schedule describes the schedule of a daemon.
type Schedule struct {
	Settings []schedule.Window `json:"settings"` // windows of the settings file
	Windows  []schedule.Window `json:"windows"`  // windows that requests have set
	Zone     string            `json:"zone"`     // the time zone whose clock the windows follow
	Now      schedule.State    `json:"now"`
}

// VolumeStatus says how much of the monthly volume is used.
type VolumeStatus struct {
	schedule.Volume
	Begin   time.Time       `json:"begin"` // of the month
	End     time.Time       `json:"end"`
	Up      int64           `json:"up"`      // bytes sent in the month
	Down    int64           `json:"down"`    // bytes received in the month
	Counted int64           `json:"counted"` // bytes that count
	Limits  schedule.Limits `json:"limits"`  // that follow from it now
}

// Files of the state directory.
const (
	scheduleFile = "schedule.json"
	volumeFile   = "volume.json"
)

// maxTimedFile limits the size of these files, in bytes.
const maxTimedFile = 1 << 20

// saveVolume is the interval at which the used volume is saved. A process that is killed forgets what
// was carried since.
const saveVolume = 10 * time.Second

// timed has the limits of a daemon that depend on the time. Its methods may be called concurrently.
type timed struct {
	state  string // the state directory
	conf   TimedConfig
	volume bool // the monthly volume is counted

	mu       sync.Mutex        // guards the fields below
	own      []schedule.Window // set by requests
	table    *schedule.Table   // all windows
	now      schedule.State
	at       time.Time     // of now
	used     schedule.Used // in this month
	saved    schedule.Used // on the disk
	savedAt  time.Time
	up, down int64 // what was carried since the start, at the last count
}

// openTimed loads the schedule and the used volume, and applies the limits of now.
func (d *Daemon) openTimed(c TimedConfig) (err error) {
	if d.timed, err = d.env.loadTimed(d.conf.State, c); err != nil {
		return err
	}
	d.applyTimed()
	return nil
}

// loadTimed loads the schedule and the used volume from a state directory.
func (e *Env) loadTimed(state string, c TimedConfig) (*timed, error) {
	if err := c.Volume.Check(); err != nil {
		return nil, fault.Usagef("the monthly volume: %w", err)
	}
	t := &timed{state: state, conf: c, volume: c.Volume.Bytes > 0}
	load := func(name string, v any) error {
		err := atomicfile.Load(filepath.Join(t.state, name), maxTimedFile, func(b []byte) error { return json.Unmarshal(b, v) })
		var damaged *atomicfile.DamagedError
		switch {
		case errors.As(err, &damaged):
			e.Warnf("%v", err)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fault.WithSetting(err, "state")
		}
		return nil
	}
	var stored struct {
		Windows []schedule.Window `json:"windows"`
	}
	if err := errors.Join(load(scheduleFile, &stored), load(volumeFile, &t.used)); err != nil {
		return nil, err
	}
	t.own, t.saved = stored.Windows, t.used
	var err error
	if t.table, err = schedule.New(append(slices.Clone(c.Windows), t.own...)); err != nil {
		e.Warnf("the schedule that requests have set is not used: %v", err)
		t.own = nil
		if t.table, err = schedule.New(c.Windows); err != nil {
			return nil, fault.Usagef("the schedule: %w", err)
		}
	}
	return t, nil
}

// runTimed applies the limits of each time and counts the monthly volume until ctx ends.
func (d *Daemon) runTimed(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.applyTimed()
			return d.timed.saveUsed()
		case <-tick.C:
			d.applyTimed()
		}
	}
}

// applyTimed counts what was carried, and applies the limits of now.
func (d *Daemon) applyTimed() {
	now := d.env.Now()
	up, down := d.session.Traffic()
	if d.site != nil {
		up += d.site.SentAll()
	}
	limits, told := d.timed.update(now, up, down)
	d.setTimedLimits(limits)
	if d.timed.shouldSave(now) {
		if err := d.timed.saveUsed(); err != nil {
			d.env.Log.Warn("the monthly volume cannot be saved", "err", err)
		}
	}
	if told > 0 {
		d.tellVolume(told)
	}
}

// tellVolume warns that a part of the monthly volume is used, in percent.
func (d *Daemon) tellVolume(part int) {
	v := d.timed.volumeStatus(d.env.Now())
	kind, text := onevent.VolumeWarning, fmt.Sprintf("%d%% of the monthly volume of %s is used; it begins anew on %s", part, units.Bytes(v.Bytes), v.End.Format(time.DateOnly))
	if part == 100 {
		kind = onevent.VolumeReached
		text = fmt.Sprintf("the monthly volume of %s is used up: %s until %s", units.Bytes(v.Bytes), thenWords(&v.Volume), v.End.Format(time.DateOnly))
	}
	d.env.Warnf("%s", text)
	d.tell(onevent.Event{Kind: kind, Time: d.env.Now().UTC(), Size: v.Counted, Message: text})
}

// thenWords says what happens after a volume is used up.
func thenWords(v *schedule.Volume) string {
	if v.Floor == 0 {
		return "nothing is sent or received"
	}
	return "the limit is " + units.Rate(float64(v.Floor))
}

// update counts what was carried since the last call, and returns the limits of the whole daemon. up
// and down are the bytes since the start. told is the part of the volume in percent that is newly
// reached, or 0.
func (t *timed) update(now time.Time, up, down int64) (limits schedule.Limits, told int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale(now) {
		t.dropOver(now)
		t.now, t.at = t.table.At(now), now
	}
	if !t.volume {
		return t.now.Limits, 0
	}
	v := &t.conf.Volume
	t.used.Add(v, now, up-t.up, down-t.down)
	t.up, t.down = up, down
	reached := t.used.Reached(v)
	if reached > t.used.Told {
		t.used.Told, told = reached, reached
	}
	return t.now.Limits.And(t.used.Limits(v)), told
}

// dropOver drops the windows of requests that are over. The file keeps them until it is written again.
// The caller holds t.mu.
func (t *timed) dropOver(now time.Time) {
	own := withoutOver(t.own, now)
	if len(own) == len(t.own) {
		return
	}
	if table, err := schedule.New(append(slices.Clone(t.conf.Windows), own...)); err == nil {
		t.own, t.table = own, table
	}
}

// withoutOver returns windows without those that occur once and are over.
func withoutOver(windows []schedule.Window, now time.Time) []schedule.Window {
	return slices.DeleteFunc(slices.Clone(windows), func(w schedule.Window) bool { return !w.Until.IsZero() && !now.Before(w.Until) })
}

// stale reports whether other windows may apply than those of t.now. A clock that was set is noticed,
// too. The caller holds t.mu.
func (t *timed) stale(now time.Time) bool {
	return t.at.IsZero() || now.Before(t.at) || !t.now.Until.IsZero() && !now.Before(t.now.Until) || now.Sub(t.at) >= time.Hour
}

// shouldSave reports whether the used volume has changed and was not saved lately. A part that was told
// is saved at once, so that it is not told again.
func (t *timed) shouldSave(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.volume || t.used == t.saved || now.Sub(t.savedAt) < saveVolume && t.used.Told == t.saved.Told && !now.Before(t.savedAt) {
		return false
	}
	t.savedAt = now
	return true
}

// saveUsed writes the used volume.
func (t *timed) saveUsed() error {
	t.mu.Lock()
	used := t.used
	same := !t.volume || used == t.saved
	t.mu.Unlock()
	if same {
		return nil
	}
	b, err := json.Marshal(used)
	if err == nil {
		err = atomicfile.Replace(filepath.Join(t.state, volumeFile), b)
	}
	if err == nil {
		t.mu.Lock()
		t.saved = used
		t.mu.Unlock()
	}
	return err
}

// volumeStatus returns how much of the volume is used.
func (t *timed) volumeStatus(now time.Time) *VolumeStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.volume {
		return nil
	}
	v := t.conf.Volume
	if v.Ways == "" {
		v.Ways = schedule.Both
	}
	v.Day = max(1, v.Day)
	used := t.used
	used.Add(&v, now, 0, 0) // a month that has begun meanwhile
	_, end := v.Month(now)
	return &VolumeStatus{Volume: v, Begin: used.Begin, End: end, Up: used.Up, Down: used.Down, Counted: used.Counted(&v), Limits: used.Limits(&v)}
}

// labelLimits are the limits of the torrents with a label.
type labelLimits struct {
	schedule.Limits        // of the label alone
	Held            string // what pauses the daemon or the label: "schedule" or "volume"; or ""
}

// forLabel returns the limits of the torrents with a label. A nil t has none.
func (t *timed) forLabel(label string) (l labelLimits) {
	if t == nil {
		return l
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if label != "" {
		l.Limits = t.now.Labels[label]
	}
	switch {
	case l.Pause || t.now.Pause:
		l.Held = "schedule"
	case t.volume && t.used.Limits(&t.conf.Volume).Pause:
		l.Held = "volume"
	}
	return l
}
