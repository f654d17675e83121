package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/fault"
)

// Limits are the limits of the whole daemon.
type Limits struct {
	Up   int64 `json:"up"`   // bytes a second; 0: no limit but the one that is learned from the line
	Down int64 `json:"down"` // bytes a second; 0: no limit
	// Connections is the number of connections to peers, and MaxConnections its limit, which a setting
	// of the start gives.
	Connections    int `json:"connections"`
	MaxConnections int `json:"max_connections"`
	// Changed says that the rates were changed while the daemon ran, and are not those of its settings.
	Changed bool `json:"changed"`
}

// LimitsChange is a change of [Limits]. A nil field stays as it is.
type LimitsChange struct {
	Up   *int64 `json:"up,omitempty"`
	Down *int64 `json:"down,omitempty"`
	// Reset returns to the rates of the settings.
	Reset bool `json:"reset,omitempty"`
}

// keptLimits are the rates that were set while the daemon ran. They hold after a restart too, as long as
// the settings, which give the rates from and to, are those of that time: who edits the settings
// means them.
type keptLimits struct {
	Up          int64 `json:"up"`
	Down        int64 `json:"down"`
	SettingUp   int64 `json:"setting_up"`
	SettingDown int64 `json:"setting_down"`
}

const limitsFile = "limits.json"

// Limits returns the limits that hold now, apart from those of a schedule.
func (d *Daemon) Limits() Limits {
	f, opt := d.SessionFacts(), &d.conf.Session.Options
	_, peers := d.session.Pools()
	return Limits{Up: f.Up, Down: f.Down, Connections: peers.Held, MaxConnections: peers.Slots, Changed: f.Up != opt.Up || f.Down != opt.Down}
}

// ChangeLimits changes the limits, and keeps them until the settings are changed.
func (d *Daemon) ChangeLimits(c LimitsChange) error {
	opt := &d.conf.Session.Options
	d.limitsMu.Lock()
	defer d.limitsMu.Unlock()
	f := d.SessionFacts()
	up, down := f.Up, f.Down
	if c.Reset {
		up, down = opt.Up, opt.Down
	}
	for _, one := range []struct {
		to   *int64
		rate *int64
	}{{c.Up, &up}, {c.Down, &down}} {
		if one.to == nil {
			continue
		}
		if *one.to < 0 {
			return fault.Usagef("a limit of a rate is negative")
		}
		*one.rate = *one.to
	}
	if err := d.saveLimits(keptLimits{up, down, opt.Up, opt.Down}); err != nil {
		return err
	}
	d.Publisher.SetRates(up, down)
	return nil
}

// SetRates changes the limits of both rates: see [Daemon.ChangeLimits].
func (d *Daemon) SetRates(up, down int64) {
	if err := d.ChangeLimits(LimitsChange{Up: &up, Down: &down}); err != nil {
		d.env.Log.Warn("the limits of the rates were not changed", "err", err)
	}
}

// saveLimits writes the limits of the daemon. A publisher in the foreground keeps none.
func (d *Daemon) saveLimits(k keptLimits) error {
	if d.db == nil {
		return nil
	}
	b, err := json.Marshal(&k)
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(d.conf.State, limitsFile), b)
}

// loadLimits sets the limits that were kept.
func (d *Daemon) loadLimits() {
	var k keptLimits
	err := atomicfile.Load(filepath.Join(d.conf.State, limitsFile), 4096, func(b []byte) error {
		if err := json.Unmarshal(b, &k); err != nil {
			return err
		}
		if k.Up < 0 || k.Down < 0 {
			return errors.New("a limit is negative")
		}
		return nil
	})
	opt := &d.conf.Session.Options
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		d.env.Warnf("the limits of the rates are those of the settings: %v", err)
	case k.SettingUp == opt.Up && k.SettingDown == opt.Down:
		d.Publisher.SetRates(k.Up, k.Down)
	}
}
