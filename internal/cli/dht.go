package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate"
	"spate/dht"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// dhtFlags are the flags of verbs that search in the DHT.
type dhtFlags struct {
	sourceFlags
	nodes   []string
	timeout time.Duration
}

// add adds the flags of a verb. torrents says that the verb takes a SOURCE.
func (o *dhtFlags) add(f *pflag.FlagSet, torrents bool) {
	o.readOnly = true
	bootstrapFlag(f, &o.nodes)
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "give up after this `TIME`")
	if torrents {
		o.sourceFlags.add(f)
		return
	}
	bindFlag(f, &o.bind)
	stateFlag(f, &o.state)
}

func bootstrapFlag(f *pflag.FlagSet, v *[]string) {
	f.StringArrayVar(v, "dht-bootstrap", nil, "enter the DHT by this node, as `HOST:PORT`; repeatable")
}

// checkBootstrap returns an error if a value of --dht-bootstrap is not HOST:PORT.
func checkBootstrap(nodes []string) error {
	for _, node := range nodes {
		host, port, err := net.SplitHostPort(node)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
			return fault.Usagef("--dht-bootstrap %s is not HOST:PORT", node)
		}
	}
	return nil
}

func (a *app) dhtCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dht",
		Short: "look into the DHT, to find out why peers are not found",
		Long: `Enter the DHT for one question, and answer no queries of others meanwhile. The node
starts from the nodes that get or seed saved, or from those of --dht-bootstrap.`,
		Example: `  spate dht status
  spate dht peers debian.iso.torrent`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.UsageHint("spate dht --help lists them", "there is no verb %q of dht", args[0])
			}
			return fault.UsageHint("spate dht --help lists them", "dht needs a verb: status, peers, get, put or sample")
		},
	}
	cmd.AddCommand(a.dhtStatusCmd(), a.dhtPeersCmd(), a.dhtGetCmd(), a.dhtPutCmd(), a.dhtSampleCmd())
	return cmd
}

// inDHT calls search with a node of the DHT. The context of search ends at the time limit.
func (a *app) inDHT(ctx context.Context, o *dhtFlags, search func(context.Context, *dht.Node) error) error {
	if err := checkBootstrap(o.nodes); err != nil {
		return err
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	node, err := a.daemonEnv().OpenDHT(ctx, daemon.DHTConfig{Bind: o.bind.Addr, Bootstrap: o.nodes, ResumeDir: a.downloadState(o.state)})
	if err != nil {
		return err
	}
	defer node.Close()
	return daemon.NoNodes(search(ctx, node.Node))
}

// dhtHashes returns the info-hashes of the SOURCE arg. It refuses private torrents (BEP 27).
func (a *app) dhtHashes(ctx context.Context, arg string, o *dhtFlags) ([]spate.InfoHash, error) {
	if onlyTracker(arg) {
		return nil, fault.UsageHint("give a SOURCE without it", "%s is the URL of a tracker, and the DHT needs none", source.Unquote(arg))
	}
	src, err := a.resolve(ctx, arg, &o.sourceFlags)
	if err != nil {
		return nil, err
	}
	if src.Torrent != nil {
		mi, err := src.Parse()
		if err != nil {
			return nil, err
		}
		if mi.Info.Private {
			return nil, fault.UsageHint("ask its tracker: spate announce SOURCE", "%s is private, and must not be in the DHT", termsafe.Clip(src.Arg, 70))
		}
	}
	s, err := src.Swarms()
	return s.Hashes, err
}

func (a *app) dhtStatusCmd() *cobra.Command {
	var opt dhtFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show whether nodes of the DHT answer",
		Long: `Enter the DHT and show for each address family how many nodes answer, and at which
address they see this machine.`,
		Example: `  spate dht status
  spate dht status --dht-bootstrap router.example.org:6881`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inDHT(cmd.Context(), &opt, a.dhtStatus)
		},
	}
	opt.add(cmd.Flags(), false)
	return cmd
}

// dhtFamily is a line of the JSON output of dht status.
type dhtFamily struct {
	Family   string `json:"family"` // "ipv4" or "ipv6"
	ID       string `json:"id"`
	Nodes    int    `json:"nodes"`
	Good     int    `json:"good"` // nodes that answer
	Usable   bool   `json:"usable"`
	External string `json:"external,omitempty"` // own address as nodes see it; without a port if that differs
}

// dhtStatus searches for the own place in the DHT, and shows the nodes that are known then.
func (a *app) dhtStatus(ctx context.Context, n *dht.Node) error {
	for _, f := range n.Status().Families {
		if _, err := n.Peers(ctx, f.ID, nil); err != nil {
			return err
		}
	}
	for _, f := range n.Status().Families {
		family := dhtFamily{Family: "ipv4", ID: hex.EncodeToString(f.ID[:]), Nodes: f.Nodes, Good: f.Good, Usable: f.Usable}
		if f.IPv6 {
			family.Family = "ipv6"
		}
		switch {
		case f.External.Port() != 0:
			family.External = f.External.String()
		case f.External.IsValid():
			family.External = f.External.Addr().String()
		}
		if err := a.printFamily(&family); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printFamily(f *dhtFamily) error {
	if a.JSON {
		return a.PrintJSON(f)
	}
	s := strings.Replace(f.Family, "ip", "IP", 1) + "  "
	if !f.Usable {
		s += "no node answers"
	} else {
		s += units.PartIs(f.Good, f.Nodes, "node", "answers", "answer") + "; id " + f.ID
	}
	if f.External != "" {
		s += "; they see this machine at " + f.External
	}
	return a.Printf("%s\n", s)
}

func (a *app) dhtPeersCmd() *cobra.Command {
	var opt dhtFlags
	cmd := &cobra.Command{
		Use:   "peers SOURCE",
		Short: "list the peers of a torrent that the DHT knows",
		Long: `Search the DHT for the peers of a torrent, and list their addresses. SOURCE is an
info-hash or any SOURCE of show. A hybrid torrent has two info-hashes, and both are
searched for. The exit code is 5 if the DHT knows no peer.`,
		Example: `  spate dht peers 0123456789abcdef0123456789abcdef01234567
  spate dht peers --json debian.iso.torrent`,
		Args: need(1, 1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			hashes, err := a.dhtHashes(cmd.Context(), args[0], &opt)
			if err != nil {
				return err
			}
			return a.inDHT(cmd.Context(), &opt, func(ctx context.Context, n *dht.Node) error { return a.dhtPeers(ctx, n, hashes) })
		},
	}
	opt.add(cmd.Flags(), true)
	return cmd
}

// dhtPeersResult is a line of the JSON output of dht peers.
type dhtPeersResult struct {
	InfoHash string   `json:"info_hash"`
	Peers    []string `json:"peers"`
	Queries  int      `json:"queries"` // sent
	Answers  int      `json:"answers"` // nodes that answered
}

// dhtPeers prints the peers of each info-hash, and returns an error if there are none.
func (a *app) dhtPeers(ctx context.Context, n *dht.Node, hashes []spate.InfoHash) error {
	found := 0
	for _, ih := range hashes {
		res, err := n.Peers(ctx, ih, nil)
		if err != nil {
			return err
		}
		out := dhtPeersResult{InfoHash: ih.String(), Peers: []string{}, Queries: res.Queries, Answers: res.Answers}
		for _, p := range res.Peers {
			out.Peers = append(out.Peers, p.String())
		}
		found += len(out.Peers)
		if a.JSON {
			err = a.PrintJSON(out)
		} else {
			a.Notef("%s: %s from %s", ih, units.Plural(len(out.Peers), "peer"), units.Plural(res.Answers, "node"))
			for _, p := range out.Peers {
				if err == nil {
					err = a.Printf("%s\n", p)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	if found == 0 {
		return fault.New(fault.NoPeers, "peers announce themselves there some time after they start", "the DHT knows no peer of the torrent")
	}
	return nil
}

func (a *app) dhtSampleCmd() *cobra.Command {
	var opt dhtFlags
	var at string
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "list info-hashes of torrents that the DHT knows",
		Long: `Ask nodes near a point of the key space, each once, for the info-hashes of torrents
whose peers they store (BEP 51), and list them. The point is random unless --target
sets it. Nodes return the same info-hashes again until the time has passed that is
shown beside them.`,
		Example: `  spate dht sample
  spate dht sample --target 0123456789abcdef0123456789abcdef01234567`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var target [20]byte
			if b, err := hex.DecodeString(at); at == "" {
				rand.Read(target[:]) // never returns an error
			} else if err != nil || len(b) != len(target) {
				return fault.Usagef("--target %s does not have 40 hex digits", termsafe.Clip(at, 70))
			} else {
				target = [20]byte(b)
			}
			return a.inDHT(cmd.Context(), &opt, func(ctx context.Context, n *dht.Node) error { return a.dhtSample(ctx, n, target) })
		},
	}
	opt.add(cmd.Flags(), false)
	cmd.Flags().StringVar(&at, "target", "", "ask the nodes near these 40 `HEX` digits")
	return cmd
}

// dhtSampleResult is the JSON output of dht sample.
type dhtSampleResult struct {
	Target     string   `json:"target"`
	InfoHashes []string `json:"info_hashes"`
	Interval   int      `json:"interval"` // seconds until the nodes choose others
	Sampled    int      `json:"sampled"`  // nodes that gave a sample, which may be empty
	Queries    int      `json:"queries"`
	Answers    int      `json:"answers"`
}

// dhtSample prints info-hashes that nodes near a target store.
func (a *app) dhtSample(ctx context.Context, n *dht.Node, target [20]byte) error {
	res, err := n.Sample(ctx, target)
	if err != nil {
		return err
	}
	out := dhtSampleResult{
		Target: hex.EncodeToString(target[:]), InfoHashes: []string{}, Interval: int(res.Interval / time.Second),
		Sampled: res.Sampled, Queries: res.Queries, Answers: res.Answers,
	}
	for _, h := range res.InfoHashes {
		out.InfoHashes = append(out.InfoHashes, h.String())
	}
	if a.JSON {
		return a.PrintJSON(out)
	}
	a.Notef("%s from %s; the nodes choose others after %v", units.Plural(len(out.InfoHashes), "info-hash"), units.Plural(res.Sampled, "node"), res.Interval)
	for _, h := range out.InfoHashes {
		if err := a.Printf("%s\n", h); err != nil {
			return err
		}
	}
	return nil
}

// dhtScrape is a line of the JSON output of scrape --dht.
type dhtScrape struct {
	Source     string `json:"source"` // "dht"
	InfoHash   string `json:"info_hash"`
	Known      bool   `json:"known"`      // the DHT knows peers of the torrent
	Complete   int    `json:"complete"`   // an estimate
	Incomplete int    `json:"incomplete"` // an estimate
	Queries    int    `json:"queries"`
	Answers    int    `json:"answers"`
}

// scrapeDHT prints how many peers of each torrent the DHT knows.
func (a *app) scrapeDHT(ctx context.Context, args []string, o *dhtFlags) error {
	var hashes []spate.InfoHash
	for _, arg := range args {
		h, err := a.dhtHashes(ctx, arg, o)
		if err != nil {
			return err
		}
		hashes = append(hashes, h...)
	}
	return a.inDHT(ctx, o, func(ctx context.Context, n *dht.Node) error {
		if !a.JSON {
			if err := a.Printf("%-40s %9s %9s\n", "info-hash", "seeds", "leechers"); err != nil {
				return err
			}
		}
		for _, ih := range hashes {
			res, err := n.Scrape(ctx, ih)
			if err != nil {
				return err
			}
			known := res.Seeds+res.Leechers > 0
			switch {
			case a.JSON:
				err = a.PrintJSON(dhtScrape{"dht", ih.String(), known, res.Seeds, res.Leechers, res.Queries, res.Answers})
			case known:
				err = a.Printf("%s %9d %9d\n", ih, res.Seeds, res.Leechers)
			default:
				err = a.Printf("%s   the DHT does not know it\n", ih)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
