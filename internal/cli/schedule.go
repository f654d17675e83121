package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/schedule"
	"spate/internal/termsafe"
	"spate/internal/units"
)

func (a *app) scheduleCmd() *cobra.Command {
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "schedule",
		Short: "show or change when a spate serve has which limits",
		Long: `Show the limits by time of a running spate serve, and what applies now. Windows come
every week, or once; they are for the whole daemon, or for the torrents with a label,
which share the limit. Every limit that applies holds, so that the lowest counts: those
of all windows, of --up and --down, of remotes, of the monthly volume, and the one that
is learned from the line.

schedule add and remove change the windows without a restart. Those of [[schedule]] in
the settings stay.`,
		Example: `  spate schedule
  spate schedule add --up 500k --until 07:00
  spate schedule add --days mon-fri --from 08:00 --to 18:00 --up 1M --down 5M
  spate schedule remove 1`,
	}, 0, 0, "no arguments", func(ctx context.Context, c *api.Client, _ []string) error {
		s, err := c.Schedule(ctx)
		if err != nil {
			return err
		}
		return a.printSchedule(s)
	})
	cmd.AddCommand(a.scheduleAddCmd(), a.scheduleRemoveCmd())
	return cmd
}

func (a *app) scheduleAddCmd() *cobra.Command {
	var w schedule.Window
	var up, down rateValue
	var until, since string
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "add",
		Short: "add a window with limits",
		Long: `Add a window to the schedule of a running spate serve. It comes every week, on --days
from --from to --to, by the local clock of the daemon. If --to is not later than --from,
it ends on the next day. With --until it applies once: from now, or from --since.`,
		Example: `  spate schedule add --from 22:00 --to 06:00 --pause --label films
  spate schedule add --up 500k --until 07:00
  spate schedule add --pause --until 3h`,
	}, 0, 0, "no arguments", func(ctx context.Context, c *api.Client, _ []string) (err error) {
		w.Up, w.Down = int64(up), int64(down)
		now := a.Now()
		if until != "" {
			if w.Until, err = parseMoment(until, now); err != nil {
				return fault.Usagef("--until: %w", err)
			}
		}
		if since != "" {
			if w.Since, err = parseMoment(since, now); err != nil {
				return fault.Usagef("--since: %w", err)
			}
		}
		if err := w.Check(); err != nil {
			return fault.Usagef("%w", err)
		}
		s, err := c.Schedule(ctx)
		if err != nil {
			return err
		}
		if s, err = c.SetSchedule(ctx, append(s.Windows, w)); err != nil {
			return err
		}
		return a.printSchedule(s)
	})
	f := cmd.Flags()
	f.StringVar(&w.Days, "days", "", "begin on these `DAYS`: mon-fri,sun (default: every day)")
	f.StringVar(&w.From, "from", "", "begin at this `TIME` of the day: 22:00")
	f.StringVar(&w.To, "to", "", "end at this `TIME` of the day: 06:00 or 24:00")
	f.StringVar(&until, "until", "", "apply once, until `WHEN`: 07:00, 3h or '2026-12-24 18:00'")
	f.StringVar(&since, "since", "", "with --until: begin at `WHEN` (default: now)")
	f.StringVar(&w.Label, "label", "", "limit only torrents with this `LABEL`, together")
	f.Var(&up, "up", "limit sending to `RATE`: 500k, 2M")
	f.Var(&down, "down", "limit receiving to `RATE`")
	f.BoolVar(&w.Pause, "pause", false, "send and receive nothing")
	return cmd
}

func (a *app) scheduleRemoveCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use:   "remove NUMBER...",
		Short: "remove windows by the numbers that schedule shows",
	}, 1, -1, "a NUMBER", func(ctx context.Context, c *api.Client, args []string) error {
		s, err := c.Schedule(ctx)
		if err != nil {
			return err
		}
		gone := map[int]bool{}
		for _, arg := range args {
			n, err := strconv.Atoi(arg)
			if err != nil || n < 1 || n > len(s.Windows) {
				return fault.New(fault.NotFound, "spate schedule shows the numbers; windows of the settings have none", "there is no window %s", arg)
			}
			gone[n-1] = true
		}
		var left []schedule.Window
		for i, w := range s.Windows {
			if !gone[i] {
				left = append(left, w)
			}
		}
		if s, err = c.SetSchedule(ctx, left); err != nil {
			return err
		}
		return a.printSchedule(s)
	})
}

// parseMoment parses a time to come: a time of the day, which is the next one, a duration from now, or
// a date.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d).Truncate(time.Second), nil
	}
	if clock, err := time.Parse("15:04", s); err == nil {
		year, month, day := now.Date()
		at := time.Date(year, month, day, clock.Hour(), clock.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = time.Date(year, month, day+1, clock.Hour(), clock.Minute(), 0, 0, now.Location())
		}
		return at, nil
	}
	at, err := parseDate(s)
	if err != nil {
		return at, fault.UsageHint("write for example 07:00, 3h or '2026-12-24 18:00'", "%q is no time", s)
	}
	return at, nil
}

func (a *app) printSchedule(s daemon.Schedule) error {
	if a.JSON {
		return a.PrintJSON(s)
	}
	if len(s.Settings)+len(s.Windows) == 0 {
		return a.Printf("no limits by time\n")
	}
	var b strings.Builder
	line := func(number string, w schedule.Window) {
		fmt.Fprintf(&b, "%-3s %s: %s%s\n", number, w, timedWords(w.Limits), ofLabel(w.Label))
	}
	for _, w := range s.Settings {
		line("-", w)
	}
	for i, w := range s.Windows {
		line(strconv.Itoa(i+1), w)
	}
	if err := a.Printf("%s", b.String()); err != nil {
		return err
	}
	return a.Printf("now: %s (%s)\n", nowWords(&s.Now), s.Zone)
}

// ofLabel says that limits are for the torrents with a label.
func ofLabel(label string) string {
	if label == "" {
		return ""
	}
	return " for " + termsafe.Line(label)
}

// timedWords describes limits.
func timedWords(l schedule.Limits) string {
	var parts []string
	if l.Pause {
		return "pause"
	}
	if l.Up > 0 {
		parts = append(parts, units.Rate(float64(l.Up))+" up")
	}
	if l.Down > 0 {
		parts = append(parts, units.Rate(float64(l.Down))+" down")
	}
	if len(parts) == 0 {
		return "no limit"
	}
	return strings.Join(parts, ", ")
}

// nowWords describes what a schedule says now.
func nowWords(s *schedule.State) string {
	parts := []string{timedWords(s.Limits)}
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, timedWords(s.Labels[label])+ofLabel(label))
	}
	text := strings.Join(parts, "; ")
	if !s.Until.IsZero() {
		text += ", until " + s.Until.Local().Format("Mon 15:04")
	}
	return text
}

// volumeWords describes how much of a monthly volume is used.
func volumeWords(v *daemon.VolumeStatus) string {
	text := fmt.Sprintf("%s of %s", units.Bytes(v.Counted), units.Bytes(v.Bytes))
	switch v.Ways {
	case schedule.Sent:
		text += " sent"
	case schedule.Received:
		text += " received"
	}
	text += fmt.Sprintf(" (%d%%), until %s", int(float64(v.Counted)/float64(max(1, v.Bytes))*100), v.End.Local().Format(time.DateOnly))
	if v.Limits != (schedule.Limits{}) {
		text += ": " + timedWords(v.Limits)
	}
	return text
}

// timedFacts describes the schedule and the monthly volume of a daemon. Both may be nil.
func timedFacts(s *schedule.State, v *daemon.VolumeStatus) (facts [][2]string) {
	if s != nil {
		facts = append(facts, [2]string{"schedule", nowWords(s)})
	}
	if v != nil {
		facts = append(facts, [2]string{"volume", volumeWords(v)})
	}
	return facts
}

// noteLimits notes which limits by time apply now, if any do. Older daemons know none.
func (a *app) noteLimits(ctx context.Context, c *api.Client) {
	s, err := c.Status(ctx)
	if err != nil {
		return
	}
	if s.Schedule != nil && len(s.Schedule.Active) > 0 {
		a.Notef("schedule: %s", nowWords(s.Schedule))
	}
	if v := s.Volume; v != nil && v.Counted >= v.Bytes/100*schedule.WarnAt {
		a.Notef("volume: %s", volumeWords(v))
	}
}

// volumeFlags are the flags of the monthly volume.
type volumeFlags struct {
	bytes sizeValue
	day   int
	ways  string
	then  string
}

func (v *volumeFlags) add(f *pflag.FlagSet) {
	f.Var(&v.bytes, "monthly-volume", "send and receive at most `SIZE` a month: 500G")
	f.IntVar(&v.day, "monthly-day", 1, "begin the month on this `DAY`, 1 to 31")
	f.StringVar(&v.ways, "monthly-counts", "both", "count up, down or both in the monthly volume")
	f.StringVar(&v.then, "monthly-then", "pause", "afterwards pause, or limit to this `RATE`: 16k")
}

// volume returns the monthly volume.
func (v *volumeFlags) volume() (schedule.Volume, error) {
	out := schedule.Volume{Bytes: int64(v.bytes), Day: v.day, Ways: schedule.Ways(v.ways)}
	if v.day < 1 {
		return out, fault.Usagef("--monthly-day: a month begins on one of the days 1 to 31")
	}
	if v.then != "pause" {
		floor, err := units.ParseRate(v.then)
		if err != nil || floor == 0 {
			return out, fault.UsageHint("write pause, or a rate such as 16k", "--monthly-then %q is neither pause nor a rate", v.then)
		}
		out.Floor = floor
	}
	if err := out.Check(); err != nil {
		return out, fault.Usagef("--monthly-volume, --monthly-day and --monthly-counts: %w", err)
	}
	return out, nil
}
