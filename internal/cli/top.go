package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/running"
	"spate/internal/termsafe"
	"spate/internal/tui"
	"spate/internal/units"
	"spate/internal/uplink"
	"spate/torrent"
)

func (a *app) topCmd() *cobra.Command {
	var state string
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "show all running torrents on a terminal screen",
		Long: `Show the torrents of all spate serve, publish, get and seed processes with the state
directory, those that transfer data first, with their files, pieces, peers and rates.
If none of them is a daemon, show the releases of the installed service too.
Without a terminal, or with --json, print the list once.`,
		Example: `  spate top
  spate top --state /var/lib/spate`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), a.daemonStates(state), every) },
	}
	stateFlag(cmd.Flags(), &state)
	cmd.Flags().DurationVar(&every, "every", 500*time.Millisecond, "refresh the screen after this `TIME`")
	return cmd
}

func (a *app) top(ctx context.Context, states []string, every time.Duration) error {
	if every < 50*time.Millisecond || every > time.Hour {
		return fault.Usagef("--every %v: the value must be from 50ms to 1h", every)
	}
	src := &everything{states: states}
	list, err := src.List(ctx)
	switch {
	case err != nil:
		return err
	case len(src.parts) == 0:
		return fault.New(fault.NotFound, "start spate serve, get or seed, or name the state directory of running ones with --state DIR", "no process runs with the state directory %s", states[0])
	case a.JSON:
		rows := []topRow{}
		for _, t := range list {
			rows = append(rows, topRow{
				t.ID, t.Name, t.State, t.Err, t.TrackerErr, t.Size, t.Done, int64(t.Down), int64(t.Up), t.Downloaded, t.Uploaded, t.Peers, t.Seeds,
			})
		}
		return a.PrintJSON(map[string]any{"torrents": rows, "uplinks": src.uplinks(ctx), "reachable": src.reaches(ctx)})
	case !a.HasScreen():
		return a.printTop(list)
	}
	return a.Screen(ctx, "top "+states[0], pausable(src), every)
}

// topRow is a torrent in the JSON output of top.
type topRow struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	State      string `json:"state"`
	Error      string `json:"error,omitempty"`
	Tracker    string `json:"tracker_error,omitempty"` // why the last announce to a tracker failed
	BytesTotal int64  `json:"bytes_total"`
	BytesDone  int64  `json:"bytes_done"`
	DownRate   int64  `json:"down_rate"`
	UpRate     int64  `json:"up_rate"`
	Downloaded int64  `json:"downloaded"`
	Uploaded   int64  `json:"uploaded"`
	Peers      int    `json:"peers"`
	Seeds      int    `json:"seeds"`
}

func (a *app) printTop(list []tui.Torrent) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %9s %7s %10s %10s %6s  %s\n", "STATE", "SIZE", "DONE", "DOWN", "UP", "PEERS", "NAME")
	for _, t := range list {
		fmt.Fprintf(&b, "%-12s %9s %5d %% %10s %10s %6d  %s\n", termsafe.Line(t.State), units.Bytes(t.Size), int(t.Fraction*100),
			units.Rate(t.Down), units.Rate(t.Up), t.Peers, termsafe.Line(t.Name))
	}
	return a.Printf("%s", b.String())
}

// everything is a source with the torrents of all processes that use state directories. The ID
// of a torrent begins with the ID of its process and a slash.
type everything struct {
	states []string
	parts  map[string]tui.Source // the processes, by ID
	found  time.Time             // time of the last search
}

// lookAgain is the interval between two searches for processes.
const lookAgain = 3 * time.Second

// find searches for the daemon and for other processes.
func (e *everything) find(ctx context.Context) error {
	if time.Since(e.found) < lookAgain {
		return nil
	}
	e.found = time.Now()
	parts := map[string]tui.Source{}
	d := &daemonSource{client: api.New(e.states[0], e.states[1:]...)}
	var none *api.NoDaemonError
	var problem error // why a process is not shown
	status, err := d.client.Status(ctx)
	switch {
	case err == nil:
		parts["daemon"] = d
	case !errors.As(err, &none):
		return apiError(err)
	case errors.Is(err, fs.ErrPermission):
		problem = apiError(err)
	}
	for _, state := range e.states {
		all, err := running.Find(ctx, state)
		problem = cmp.Or(err, problem)
		for _, r := range all {
			if parts["daemon"] != nil && r.PID == strconv.Itoa(status.PID) {
				d.process = r // it is the same process
				continue
			}
			parts[r.PID] = r
		}
	}
	e.parts = parts
	if len(parts) > 0 {
		return nil // the processes that answer are shown
	}
	return problem
}

// List implements [tui.Source].
func (e *everything) List(ctx context.Context) ([]tui.Torrent, error) {
	if err := e.find(ctx); err != nil {
		return nil, err
	}
	var all []tui.Torrent
	for _, id := range slices.Sorted(maps.Keys(e.parts)) {
		list, err := e.parts[id].List(ctx)
		if err != nil && ctx.Err() == nil {
			e.found = time.Time{} // the process may have ended: search again
			continue
		}
		for _, t := range list {
			t.ID = id + "/" + t.ID
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b tui.Torrent) int { return cmp.Compare(idleness(&a), idleness(&b)) })
	return all, ctx.Err()
}

// idleness orders torrents, so that the list begins with those that transfer data: 0 transfers, 1
// has peers or needs attention, and 2 is idle.
func idleness(t *tui.Torrent) int {
	switch {
	case t.Down+t.Up >= 1:
		return 0
	case t.Peers > 0, t.Err != "", t.Size > 0 && t.Done < t.Size:
		return 1
	}
	return 2
}

// uplinks returns what each process knows about its uplink, by the ID of the process.
func (e *everything) uplinks(ctx context.Context) map[string]uplink.Status {
	all := map[string]uplink.Status{}
	for id, part := range e.parts {
		if u, ok := part.(running.Uplinker); ok {
			if s, err := u.Uplink(ctx); err == nil { // an older version does not know it
				all[id] = s
			}
		}
	}
	return all
}

// reaches returns what each process knows about whether others can connect, by the ID of the
// process.
func (e *everything) reaches(ctx context.Context) map[string]reach.Status {
	all := map[string]reach.Status{}
	for id, part := range e.parts {
		if u, ok := part.(running.Reacher); ok {
			if s, err := u.Reach(ctx); err == nil { // an older version does not know it
				all[id] = s
			}
		}
	}
	return all
}

// part returns the source of the torrent with an ID, and the ID of the torrent in that source.
func (e *everything) part(id string) (tui.Source, string) {
	part, id, _ := strings.Cut(id, "/")
	return e.parts[part], id
}

// Detail implements [tui.Source].
func (e *everything) Detail(ctx context.Context, id string) (*tui.Detail, error) {
	src, id := e.part(id)
	if src == nil {
		return nil, nil
	}
	d, err := src.Detail(ctx, id)
	if err != nil && ctx.Err() == nil {
		e.found = time.Time{}
		return nil, nil
	}
	return d, err
}

// pausable returns a source that can pause torrents if a daemon runs.
func pausable(e *everything) tui.Source {
	if e.parts["daemon"] == nil {
		return e
	}
	return pausing{e}
}

type pausing struct{ *everything }

// Pause implements [tui.Pauser].
func (p pausing) Pause(ctx context.Context, id string, paused bool) error {
	src, id := p.part(id)
	d, ok := src.(*daemonSource)
	if !ok {
		return errors.New("only releases of the daemon can be paused; stop the others where they run")
	}
	return d.client.Change(ctx, id, api.Change{Paused: &paused})
}

// daemonSource is a [tui.Source] with the releases of a daemon.
type daemonSource struct {
	client  *api.Client
	process tui.Source // the torrents of the same process with more details; may be nil
}

// topReleases is the maximum number of releases that top lists.
const topReleases = 500

// List implements [tui.Source].
func (d *daemonSource) List(ctx context.Context) ([]tui.Torrent, error) {
	releases, err := d.client.Releases(ctx, api.List{Limit: topReleases})
	if err != nil {
		return nil, err
	}
	var list []tui.Torrent
	for i := range releases.Releases {
		r := &releases.Releases[i]
		list = append(list, tui.Torrent{
			ID: r.Ref, Name: r.Ref, State: r.Live.State, Err: r.Live.Error, Size: r.TotalLength, Fraction: r.Live.Progress,
			Done: int64(r.Live.Progress * float64(r.TotalLength)), Down: r.Live.DownRate, Up: r.Live.UpRate, Uploaded: r.SeedBytes,
			Peers: r.Live.Peers, Known: r.Live.Leechers, Left: -1, Paused: r.Live.State == "paused",
		})
	}
	return list, nil
}

// Uplink implements [running.Uplinker].
func (d *daemonSource) Uplink(ctx context.Context) (uplink.Status, error) {
	s, err := d.client.Status(ctx)
	return s.Uplink, err
}

// Reach implements [running.Reacher].
func (d *daemonSource) Reach(ctx context.Context) (reach.Status, error) {
	s, err := d.client.Status(ctx)
	return s.Reach, err
}

// Detail implements [tui.Source].
func (d *daemonSource) Detail(ctx context.Context, ref string) (*tui.Detail, error) {
	r, err := d.client.Release(ctx, ref)
	if errors.Is(err, &api.Error{Code: api.NotFound}) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	peers, err := d.client.Peers(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := &tui.Detail{Path: filepath.FromSlash(r.Path), Hash: r.InfoHashV1, Peers: []tui.Peer{}, Facts: [][2]string{
		{"page", r.PageURL},
		{"downloads", cmp.Or(storyWords(storyOf(&r)), "none yet")},
		{"delivered", cmp.Or(deliveredWords(r.Counts), "nothing yet")},
		{"swarm", units.Plural(r.Live.Seeders, "seed")},
	}}
	if s, err := d.client.Status(ctx); err == nil {
		out.Facts = append(out.Facts, [2]string{"uplink", s.Uplink.String()}, [2]string{"reachable", s.Reach.String()})
		out.Facts = append(out.Facts, timedFacts(s.Schedule, s.Volume)...)
	}
	if r.Group != "" {
		out.Facts = append(out.Facts, [2]string{"group", r.Group})
	}
	for _, p := range peers {
		out.Peers = append(out.Peers, tui.Peer{
			Addr: p.Addr, Client: p.Client, UTP: p.Transport == torrent.UTP.String(), Incoming: p.Incoming, Holepunched: p.Holepunched, Have: p.Have, Down: p.DownRate, Up: p.UpRate,
			Downloaded: p.Downloaded, Uploaded: p.Uploaded, Unchoked: p.Unchoked, Choked: true,
		})
	}
	if d.process != nil {
		if more, err := d.process.Detail(ctx, cmp.Or(r.InfoHashV1, r.InfoHashV2)); err == nil && more != nil {
			out.Files, out.Pieces, out.Trackers, out.Stall, out.Peers = more.Files, more.Pieces, more.Trackers, more.Stall, more.Peers
		}
	}
	return out, nil
}
