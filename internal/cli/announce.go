package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// defaultAnnounced is the port that announce announces by default.
const defaultAnnounced uint16 = 6881

// announceOptions are the flags of announce.
type announceOptions struct {
	sourceFlags
	port    uint16
	event   string
	left    int64
	numWant int
	stay    bool
	timeout time.Duration
}

// announceResult is the JSON output of announce.
type announceResult struct {
	URL         string   `json:"url"`
	InfoHash    string   `json:"info_hash"`
	Millis      float64  `json:"millis"`
	Interval    int64    `json:"interval"`
	MinInterval int64    `json:"min_interval,omitempty"`
	Complete    *int     `json:"complete,omitempty"`
	Incomplete  *int     `json:"incomplete,omitempty"`
	Downloaded  *int     `json:"downloaded,omitempty"`
	ExternalIP  string   `json:"external_ip,omitempty"`
	Warning     string   `json:"warning,omitempty"`
	Peers       []string `json:"peers"`
}

func (a *app) announceCmd() *cobra.Command {
	opt := announceOptions{sourceFlags: sourceFlags{readOnly: true}}
	cmd := &cobra.Command{
		Use:   "announce [URL] SOURCE",
		Short: "ask a tracker for peers and show its answer",
		Long: `Announce to a tracker as a leecher and show its answer. SOURCE is an info-hash or
any SOURCE of show. Without URL, announce asks each tracker that the SOURCE names. The
event "stopped" follows at once, unless --stay is given.`,
		Example: `  spate announce udp://tracker.example.org:6969 0123456789abcdef0123456789abcdef01234567
  spate announce debian.torrent`,
		Args: need(1, 2, "a tracker's URL and a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := ""
			if len(args) == 2 {
				url = source.Unquote(args[0])
			}
			return a.announceAll(cmd.Context(), url, args[len(args)-1], opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.event, "event", "started", "announce this `EVENT`: started, completed, stopped, paused or none")
	f.Int64Var(&opt.left, "left", tracker.Unknown, "announce that `BYTES` are missing (-1: unknown)")
	f.IntVar(&opt.numWant, "numwant", tracker.DefaultNumWant, "ask for `N` peers (-1: let the tracker choose)")
	f.Uint16Var(&opt.port, "peer-port", defaultAnnounced, "announce this `PORT`; 0: the default")
	f.BoolVar(&opt.stay, "stay", false, "send no \"stopped\" after the announce")
	f.DurationVar(&opt.timeout, "timeout", 30*time.Second, "give up after this `TIME`")
	opt.sourceFlags.add(f)
	return cmd
}

// announceAll announces the torrent arg to the tracker at url or, if url is empty, to the trackers
// that arg names.
func (a *app) announceAll(ctx context.Context, url, arg string, opt announceOptions) error {
	s, err := a.swarms(ctx, "announce", url, arg, &opt.sourceFlags)
	if err != nil {
		return err
	}
	req, err := opt.request(s.Hashes[0])
	if err != nil {
		return err
	}
	c, err := trackerclient.New(trackerclient.Options{LocalAddr: opt.bind.Addr, Proxy: a.out.Chooser(), Timeout: opt.timeout})
	if err != nil {
		return fault.Usagef("%w", err)
	}
	defer c.Close()
	return a.eachTracker(ctx, s.Trackers, func(url string) error { return a.announce(ctx, c, url, *req, opt.stay) })
}

// request returns the announce that the flags describe.
func (opt *announceOptions) request(ih spate.InfoHash) (*tracker.AnnounceRequest, error) {
	name := opt.event
	if name == "none" {
		name = ""
	}
	event, err := tracker.ParseEvent(name)
	if err != nil {
		return nil, fault.Usagef("--event: %w", err)
	}
	port := cmp.Or(opt.port, defaultAnnounced) // SPATE_PEER_PORT=0 lets other verbs choose a free port
	return &tracker.AnnounceRequest{
		InfoHash: ih, PeerID: spate.NewPeerID(), Port: port, Left: opt.left, Event: event, NumWant: opt.numWant,
	}, nil
}

// announce sends req to the tracker at url and prints the answer. Unless stay is set, it then
// announces that the peer stopped.
func (a *app) announce(ctx context.Context, c *trackerclient.Client, url string, req tracker.AnnounceRequest, stay bool) error {
	began := time.Now()
	resp, err := announceTo(ctx, c, url, &req)
	if err != nil {
		return trackerError(err)
	}
	took := time.Since(began)
	if !stay && req.Event != tracker.EventStopped {
		req.Event, req.NumWant = tracker.EventStopped, 0
		if _, err := announceTo(ctx, c, url, &req); err != nil {
			a.Warnf("the tracker was not told that the peer stopped: %v", err)
		}
	}
	return a.printAnnounce(url, req.InfoHash, took, resp)
}

// announceTo sends req to the tracker at url, without offers if that is a WebSocket tracker.
func announceTo(ctx context.Context, c *trackerclient.Client, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	if strings.HasPrefix(url, "ws://") || strings.HasPrefix(url, "wss://") {
		return c.AnnounceSignals(ctx, url, req, nil)
	}
	return c.Announce(ctx, url, req)
}

func (a *app) printAnnounce(url string, ih spate.InfoHash, took time.Duration, r *tracker.AnnounceResponse) error {
	if a.JSON {
		out := announceResult{
			URL: url, InfoHash: ih.String(), Millis: float64(took.Microseconds()) / 1000,
			Interval: int64(r.Interval.Seconds()), MinInterval: int64(r.MinInterval.Seconds()),
			Complete: known(r.Complete), Incomplete: known(r.Incomplete), Downloaded: known(r.Downloaded),
			Warning: r.Warning, Peers: []string{},
		}
		if r.ExternalIP.IsValid() {
			out.ExternalIP = r.ExternalIP.String()
		}
		for _, p := range r.Peers {
			out.Peers = append(out.Peers, p.String())
		}
		return a.PrintJSON(out)
	}
	s := fmt.Sprintf("%s, %s, %s downloaded; answered in %s\n",
		counted(r.Complete, "seed"), counted(r.Incomplete, "leecher"), count(r.Downloaded), took.Round(100*time.Microsecond))
	s += "next announce in " + r.Interval.String()
	if r.MinInterval > 0 {
		s += ", at the earliest in " + r.MinInterval.String()
	}
	s += "\n"
	if r.Warning != "" {
		s += "the tracker warns: " + termsafe.Line(r.Warning) + "\n"
	}
	if r.ExternalIP.IsValid() {
		s += "it sees this machine at " + r.ExternalIP.String() + "\n"
	}
	s += fmt.Sprintf("%s%s\n", units.Plural(len(r.Peers), "peer"), map[bool]string{true: ":"}[len(r.Peers) > 0])
	for _, p := range r.Peers {
		s += "  " + p.String() + "\n"
	}
	return a.Printf("%s", s)
}

// known returns a pointer to n, or nil if the tracker did not send the number.
func known(n int) *int {
	if n == tracker.Unknown {
		return nil
	}
	return &n
}

// count formats a number that a tracker sent.
func count(n int) string {
	if n == tracker.Unknown {
		return "unknown"
	}
	return fmt.Sprint(n)
}

// counted is like count with a noun.
func counted(n int, noun string) string {
	if n == tracker.Unknown {
		return "unknown " + noun + "s"
	}
	return units.Plural(n, noun)
}
