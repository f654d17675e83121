package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/publish"
)

// daemonFlags are the flags that select the daemon of a verb.
type daemonFlags struct {
	state string
	url   string
	token string
}

func (d *daemonFlags) add(f *pflag.FlagSet) {
	stateFlag(f, &d.state)
	f.StringVar(&d.url, "api-url", "", "use the daemon at this `URL`, with SPATE_API_TOKEN")
	f.StringVar(&d.token, "api-token", "", "authenticate with this `TOKEN`")
	f.Lookup("api-token").Hidden = true // other users can read command lines, so the token is not a flag
}

func (d *daemonFlags) client(a *app) (*api.Client, error) {
	if d.url == "" {
		states := a.daemonStates(d.state)
		c := api.New(states[0], states[1:]...)
		if states[0] == a.env.ServiceState {
			return c, nil // it belongs to the user of the service
		}
		return c, filetrust.Check(states[0], filetrust.Power, a.Warnf)
	}
	if d.token == "" {
		return nil, fault.UsageHint("spate serve token makes one", "--api-url needs the token in the variable SPATE_API_TOKEN")
	}
	c, err := api.NewRemote(d.url, d.token)
	if err != nil {
		return nil, fault.Usagef("--api-url: %w", err)
	}
	return c, nil
}

// daemonCmd makes cmd a verb that uses a daemon, and returns it.
func (a *app) daemonCmd(cmd *cobra.Command, min, max int, what string, run func(context.Context, *api.Client, []string) error) *cobra.Command {
	var d daemonFlags
	cmd.Args = need(min, max, what)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := d.client(a)
		if err != nil {
			return err
		}
		return apiError(run(cmd.Context(), c, args))
	}
	d.add(cmd.Flags())
	return cmd
}

func (a *app) statusCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use:   "status [NAME]",
		Short: "show the state of a spate serve, a release or a torrent",
		Long: `Show the state of a spate serve: its releases and torrents, what it sends, and what it
could not publish. With NAME, as list shows it, show the state of that release, or of
that torrent that was added.`,
		Example: `  spate status
  spate status debian.iso`,
	}, 0, 1, "one NAME", func(ctx context.Context, c *api.Client, args []string) error {
		if len(args) == 0 {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			return a.printStatus(s)
		}
		added, err := isTorrent(ctx, c, args[0])
		if err != nil {
			return err
		}
		if added {
			t, err := c.Torrent(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printTorrent(t)
		}
		r, err := c.Release(ctx, args[0])
		if err != nil {
			return err
		}
		return a.printRelease(r)
	})
}

// facts prints lines with a label and a value. It omits empty values.
func (a *app) facts(facts [][2]string) error {
	var b strings.Builder
	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(&b, "%-10s %s\n", f[0], termsafe.Line(f[1]))
		}
	}
	return a.Printf("%s", b.String())
}

func (a *app) printStatus(s api.Status) error {
	if a.JSON {
		return a.PrintJSON(s)
	}
	t := s.Totals
	facts := [][2]string{
		{"site", s.PublicURL}, {"listens", listens(&s)},
		{"process", fmt.Sprintf("%d, spate %s, since %s", s.PID, s.Version, s.Started.Local().Format(time.DateTime))}, {"state", s.State},
		{"reachable", s.Reach.String()}, {"web seed", s.WebSeed},
		{"releases", fmt.Sprintf("%d, %d paused, %d failed", t.Releases, t.Paused, t.Failed)},
		{"torrents", torrentTotalWords(s.Torrents)},
		{"downloads", cmp.Or(storyWords(daemon.Story{Downloading: t.Leechers, Sent: t.OriginBytes(), Delivery: t.Delivery}), "none yet")},
		{"delivered", deliveredWords(t.Counts)},
		{"swarms", fmt.Sprintf("%s; %s connected", units.Plural(t.Seeders, "seed"), units.Plural(t.Peers, "peer"))},
		{"sending", sendingWords(t.Peers, t.UpRate)}, {"uplink", s.Uplink.String()},
	}
	facts = append(facts, timedFacts(s.Schedule, s.Volume)...)
	if f := s.IPFilter; f != nil {
		facts = append(facts, [2]string{"IP filter", fmt.Sprintf("%s, %s refused", units.Plural(f.Ranges, "range"), units.Plural(int(f.Blocked), "peer"))})
	}
	if s.DHTNodes != nil {
		facts = append(facts, [2]string{"DHT", units.Plural(*s.DHTNodes, "node") + " " + units.Agree(*s.DHTNodes, "answers", "answer")})
	}
	if s.Checks != nil {
		facts = append(facts, checkFacts(s.Checks)...)
	}
	for _, f := range s.Folders {
		text := fmt.Sprintf("%s: %d published", f.Path, f.Entries)
		if f.Waiting > 0 {
			text += fmt.Sprintf(", %d waiting", f.Waiting)
		}
		if h := f.Hashing; h != nil {
			text += ", " + hashingWords(h.Name, h.Done, h.Total, h.Rate)
		}
		if f.Error != "" {
			text += "; " + f.Error
		}
		facts = append(facts, [2]string{"folder", text})
		for _, r := range f.Refused {
			facts = append(facts, [2]string{"  refused", r.Name + ": " + termsafe.Clip(r.Error, 300)})
		}
	}
	return a.facts(facts)
}

// deliveredWords says how finished downloads and the bytes of this machine were sent. It returns ""
// if there are none.
func deliveredWords(c publish.Counts) string {
	if c == (publish.Counts{}) {
		return ""
	}
	return fmt.Sprintf("%s by BitTorrent and %d over HTTP; this machine sent %s", units.Plural(c.Completed, "download"), c.Direct, units.Bytes(c.OriginBytes()))
}

// sendingWords returns the upload rate, or "" if nobody is connected.
func sendingWords(peers int, rate float64) string {
	if peers == 0 || rate < 1 {
		return ""
	}
	return units.Rate(rate)
}

// checkFacts describes the last hourly check.
func checkFacts(r *doctor.Report) [][2]string {
	todo := doctor.ToDo(r.Findings)
	text := "all is well"
	if len(todo) > 0 {
		text = "something should be done about " + units.Plural(len(todo), "finding")
	}
	facts := [][2]string{{"checked", r.Checked.Local().Format(time.DateTime) + ": " + text}}
	for _, f := range todo {
		facts = append(facts, [2]string{"  " + string(f.Level), f.Check + ": " + termsafe.Clip(f.String(), 600)})
	}
	return facts
}

func (a *app) printRelease(r publish.ReleaseInfo) error {
	if a.JSON {
		return a.PrintJSON(r)
	}
	state := r.Live.State
	if r.Live.Error != "" {
		state += ": " + r.Live.Error
	}
	first := ""
	if r.FirstCopy > 0 {
		first = (time.Duration(r.FirstCopy) * time.Second).String() + " after the first download began"
	}
	leftOut := ""
	if r.Skipped > 0 {
		leftOut = strconv.Itoa(r.Skipped)
	}
	return a.facts([][2]string{
		{"release", r.Ref}, {"state", state}, {"page", r.PageURL}, {"torrent", r.TorrentURL}, {"data", r.Path},
		{"web seeds", strings.Join(r.WebSeeds, ", ")},
		{"size", fmt.Sprintf("%s, %s", units.Bytes(r.TotalLength), units.Plural(r.NumFiles, "file"))}, {"left out", leftOut}, {"group", r.Group},
		{"published", r.Published.Local().Format(time.DateTime)},
		{"downloads", cmp.Or(storyWords(storyOf(&r)), "none yet")}, {"delivered", deliveredWords(r.Counts)},
		{"swarm", fmt.Sprintf("%s; %s connected", units.Plural(r.Live.Seeders, "seed"), units.Plural(r.Live.Peers, "peer"))},
		{"sending", sendingWords(r.Live.Peers, r.Live.UpRate)},
		{"first copy", first}, {"magnet", r.Magnet}, {"older", r.MagnetTwin}, {"signed by", r.PublicKey},
	})
}

// changedEvent is the JSON output of withdraw, pause and resume.
type changedEvent struct {
	Event string `json:"event"`
	Ref   string `json:"ref"`
}

// each calls f for each release, and then prints did.
func (a *app) each(refs []string, did string, f func(ref string) error) error {
	for _, ref := range refs {
		if err := f(ref); err != nil {
			return err
		}
		if a.JSON {
			if err := a.PrintJSON(changedEvent{did, ref}); err != nil {
				return err
			}
			continue
		}
		a.Notef("%s %s", did, ref)
	}
	return nil
}

func (a *app) pauseCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "pause NAME...", Short: "stop a torrent, or stop sending a release; it stays listed",
		Long: `Stop torrents that were added to a spate serve, or stop sending releases to peers and
over HTTP. Paused releases stay listed and tracked, so that peers can still fetch them
from each other.`,
	}, 1, -1, "a NAME", func(ctx context.Context, c *api.Client, refs []string) error {
		return a.each(refs, "paused", func(ref string) error { return setPaused(ctx, c, ref, true) })
	})
}

func (a *app) resumeCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "resume NAME...", Short: "start a paused torrent, or send a paused release again",
		Long: `Start torrents again that are paused, have failed, or have reached the goal of their
seeding. Send paused releases to peers and over HTTP again.`,
	}, 1, -1, "a NAME", func(ctx context.Context, c *api.Client, refs []string) error {
		return a.each(refs, "resumed", func(ref string) error { return setPaused(ctx, c, ref, false) })
	})
}

// setPaused pauses or resumes the torrent or the releases that ref names.
func setPaused(ctx context.Context, c *api.Client, ref string, paused bool) error {
	added, err := isTorrent(ctx, c, ref)
	switch {
	case err != nil:
		return err
	case added:
		return c.ChangeTorrent(ctx, ref, daemon.TorrentChange{Paused: &paused})
	}
	return c.Change(ctx, ref, api.Change{Paused: &paused})
}
