//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// swarmOptions are the options of the measurement of swarms: those of a case, and those of
// all cases.
type swarmOptions struct {
	swarmCase
	rows       list
	runs       int
	json       string // file to append results to
	logs       string // directory to keep the programs' output in
	data       string
	spate      string
	webtorrent string // directory in which npm has installed webtorrent
	playwright string // directory in which npm has installed playwright-core
}

// swarmCase is a swarm to measure, once with each of its origins.
type swarmCase struct {
	origins      list
	getters      kinds
	size         int    // MiB
	pieceLength  string // "" lets spate choose
	format       string // "" is spate's default
	originLink   link
	links        links // getter i has links[i % len(links)]
	latency      time.Duration
	queue        time.Duration // the length of the queue of each link; 0 is queueTime
	mtu          int
	family       string // 4, 6 or 46
	webSeed      string // published, on or off
	leave        bool   // getters leave when they are complete
	every        time.Duration
	riders       int // getters that send almost nothing
	useless      kinds
	churn        int // getters that are killed and start again
	seed         uint64
	limit        float64 // multiple of the bound after which a run fails
	publishFlags string
	getFlags     string
}

// The kinds of origins and getters. mixed is a quarter each of mixedKinds.
var (
	originKinds = []string{"spate", "seed", "libtorrent", "libtorrent-super", "libtorrent-tcp", "transmission"}
	getterKinds = []string{"spate", "libtorrent", "libtorrent-tcp", "transmission", "aria2", "rtorrent", "qbittorrent", "webtorrent", "browser", "curl", "mixed"}
	mixedKinds  = []string{"spate", "libtorrent", "transmission", "aria2"}
)

// newSwarmOptions returns the defaults and the flags that change them.
func newSwarmOptions() (*swarmOptions, *flag.FlagSet) {
	o := &swarmOptions{swarmCase: swarmCase{origins: list{"spate"}, originLink: link{20, 100}, links: links{{40, 100}}}}
	fs := flag.NewFlagSet("swarm", flag.ContinueOnError)
	fs.Var(&o.origins, "origin", "measure with each of these origins: "+strings.Join(originKinds, ","))
	fs.Var(&o.getters, "getters", "measure these getters, KIND=N,...: "+strings.Join(getterKinds, ", "))
	fs.Var(&o.rows, "rows", "measure these named sets: "+strings.Join(rowNames(), ",")+", or all")
	fs.IntVar(&o.runs, "runs", 1, "number of runs of each case")
	fs.IntVar(&o.size, "size", 32, "size of the file in MiB")
	fs.StringVar(&o.pieceLength, "piece-length", "", "piece length, such as 32KiB (default: spate's choice)")
	fs.StringVar(&o.format, "format", "", "format of the torrent: v1, v2 or hybrid (default: spate's default)")
	fs.Var(&o.originLink, "origin-link", "link of the origin in Mbit/s, UP/DOWN")
	fs.Var(&o.links, "links", "links of the getters in Mbit/s, UP/DOWN,...; several alternate")
	fs.DurationVar(&o.latency, "latency", 0, "round-trip time between two hosts")
	fs.IntVar(&o.mtu, "mtu", 1500, "largest packet of all links")
	fs.StringVar(&o.family, "family", "4", "addresses of the hosts: 4, 6 or 46")
	fs.StringVar(&o.webSeed, "web-seed", "published", "the origin's URL in the torrent: as published, on or off")
	fs.BoolVar(&o.leave, "leave", false, "let getters leave when they are complete")
	fs.DurationVar(&o.every, "every", 0, "time between the arrivals of two getters")
	fs.IntVar(&o.riders, "riders", 0, "number of getters that send almost nothing")
	fs.Var((*habits)(&o.useless), "useless", "peers that help nobody, HABIT=N,...: "+strings.Join(habitNames(), ", "))
	fs.IntVar(&o.churn, "churn", 0, "number of getters that are killed on the way and start again after 3 s")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the order of the kinds and of churn")
	fs.Float64Var(&o.limit, "limit", 8, "give up after this multiple of the bound, a minute, and the time for curl")
	fs.StringVar(&o.publishFlags, "publish-flags", "", "further flags of spate publish and spate seed")
	fs.StringVar(&o.getFlags, "get-flags", "", "further flags of spate get")
	fs.StringVar(&o.json, "json", "", "append a line of JSON for each run to this file")
	fs.StringVar(&o.logs, "logs", "", "keep the output of the programs in this directory")
	fs.StringVar(&o.data, "data", "/dev/shm", "directory for data, state and downloads")
	fs.StringVar(&o.spate, "spate", "", "path of the spate program (default: build it)")
	fs.StringVar(&o.webtorrent, "webtorrent", "", "directory in which npm has installed webtorrent")
	fs.StringVar(&o.playwright, "playwright", "", "directory in which npm has installed playwright-core, for browsers (default: a copy of e2e/web)")
	return o, fs
}

// parseSwarm returns the options of the command line and the cases that they name.
func parseSwarm(args []string, usage io.Writer) (*swarmOptions, []*swarmOptions, error) {
	o, fs := newSwarmOptions()
	fs.SetOutput(io.Discard) // the caller prints the error
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(usage, "bench swarm measures how swarms of real programs distribute a file over slow links.")
			fs.SetOutput(usage)
			fs.PrintDefaults()
		}
		return nil, nil, err
	}
	if fs.NArg() > 0 {
		return nil, nil, fmt.Errorf("swarm takes only flags, but got %q", fs.Arg(0))
	}
	if len(o.getters) > 0 && len(o.rows) > 0 {
		return nil, nil, fmt.Errorf("-getters and -rows exclude each other")
	}
	if len(o.getters) > 0 {
		return o, []*swarmOptions{o}, o.check()
	}
	if len(o.rows) == 0 {
		o.rows = list{"default"}
	}
	var cases []*swarmOptions
	for _, name := range o.rows {
		lines, err := rowsOf(name)
		if err != nil {
			return nil, nil, err
		}
		for _, line := range lines {
			c, fs := newSwarmOptions()
			fs.SetOutput(io.Discard)
			if err := fs.Parse(append(strings.Fields(line), args...)); err != nil {
				return nil, nil, fmt.Errorf("row %q: %w", line, err)
			}
			if err := c.check(); err != nil {
				return nil, nil, fmt.Errorf("row %q: %w", line, err)
			}
			cases = append(cases, c)
		}
	}
	return o, cases, nil
}

// check returns an error if a value cannot be measured.
func (c *swarmCase) check() error {
	n := len(c.order(0))
	known := slices.IndexFunc(c.origins, func(k string) bool { return !slices.Contains(originKinds, k) })
	switch {
	case known >= 0:
		return fmt.Errorf("unknown origin %q: want one of %s", c.origins[known], strings.Join(originKinds, ", "))
	case n > 200:
		return fmt.Errorf("%d getters are more than the 200 that have addresses", n)
	case c.size < 1:
		return fmt.Errorf("-size %d: want at least 1", c.size)
	case c.family != "4" && c.family != "6" && c.family != "46":
		return fmt.Errorf("-family %s: want 4, 6 or 46", c.family)
	case c.mtu < 1280 || c.mtu > 9000:
		return fmt.Errorf("-mtu %d: want 1280 to 9000", c.mtu)
	case len(c.useless) > 0 && c.family == "6":
		return fmt.Errorf("-useless: these peers have IPv4 addresses only")
	case c.webSeed != "published" && c.webSeed != "on" && c.webSeed != "off":
		return fmt.Errorf("-web-seed %s: want published, on or off", c.webSeed)
	case c.webSeed == "on" && !slices.Equal(c.origins, []string{"spate"}):
		return fmt.Errorf("-web-seed on: only the origin spate serves HTTP")
	case c.riders < 0 || c.churn < 0 || c.riders+c.churn > n:
		return fmt.Errorf("-riders %d and -churn %d: want at most %d together, the number of getters", c.riders, c.churn, n)
	}
	return nil
}

// order returns the kinds of all getters in a random order that depends on the seed and the
// number of the run, so that no kind always has the same links.
func (c *swarmCase) order(run int) []string {
	var all []string
	for _, k := range c.getters {
		for i := range k.n {
			kind := k.kind
			if kind == "mixed" {
				kind = mixedKinds[i%len(mixedKinds)]
			}
			all = append(all, kind)
		}
	}
	r := rand.New(rand.NewPCG(c.seed, uint64(run)))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// describe returns the getters and the options that differ from their defaults.
func (o *swarmOptions) describe() string {
	s := o.getters.String()
	if len(o.getters) == 1 {
		s = fmt.Sprintf("%d %s", o.getters[0].n, o.getters[0].kind)
	}
	defaults, _ := newSwarmOptions()
	d := &defaults.swarmCase
	d.origins, d.getters = o.origins, o.getters
	was, is := d.values(), o.values()
	for i, v := range is {
		if v != was[i] {
			s += ", " + v
		}
	}
	return s
}

// values returns the options of the case that a table names, as text.
func (c *swarmCase) values() []string {
	return []string{
		fmt.Sprintf("%d MiB", c.size), "pieces of " + c.pieceLength, c.format, "origin " + c.originLink.String(), "links " + c.links.String(),
		fmt.Sprintf("latency %v", c.latency), fmt.Sprintf("MTU %d", c.mtu), "IPv" + c.family, "web seed " + c.webSeed,
		map[bool]string{true: "leaving"}[c.leave], fmt.Sprintf("one every %v", c.every), fmt.Sprintf("%d free riders", c.riders),
		fmt.Sprintf("%d killed", c.churn), "useless " + c.useless.String(), c.publishFlags, c.getFlags,
	}
}

// bound returns the least time in seconds in which all getters can have the file, and the
// limit that it follows from: the origin's link, the slowest getter's, or the sum of what all
// can send. It leaves out curl if there are other getters, so that swarms with and without
// curl can be compared.
func (c *swarmCase) bound(order []string) (seconds float64, by string) {
	only := curls(order) == len(order)
	sum, slowest, n := c.originLink.up, math.Inf(1), 0
	for i, kind := range order {
		if kind == "curl" && !only {
			continue
		}
		n++
		slowest = min(slowest, c.links.of(i).down)
		if kind != "curl" && i >= c.riders {
			sum += c.links.of(i).up
		}
	}
	seconds, by = c.seconds(c.originLink.up), "origin"
	if t := c.seconds(slowest); t > seconds {
		seconds, by = t, "getter"
	}
	if t := float64(n) * c.seconds(sum); t > seconds {
		seconds, by = t, "sum"
	}
	return seconds, by
}

// seconds returns how long a link of rate Mbit/s takes to carry the file. Links carry headers
// too.
func (c *swarmCase) seconds(rate float64) float64 {
	return float64(c.bytes()) * 8 / 1e6 / payload(c.mtu, c.family) / rate
}

// bytes returns the size of the file.
func (c *swarmCase) bytes() int64 { return int64(c.size) << 20 }

// patience returns the time in seconds after which a run fails. Each curl takes a copy from
// the origin, with half of its link at least.
func (c *swarmCase) patience(order []string) float64 {
	bound, _ := c.bound(order)
	return 60 + c.limit*bound + 2*float64(curls(order))*c.seconds(c.originLink.up) + float64(len(order))*c.every.Seconds()
}

// curls returns how many of the getters are curl.
func curls(order []string) (n int) {
	for _, kind := range order {
		if kind == "curl" {
			n++
		}
	}
	return n
}

// payload returns the part of a full packet on the wire that is payload of TCP.
func payload(mtu int, family string) float64 {
	const ethernet, tcp = 14, 20 + 12 // TCP with timestamps
	ip := 20
	if family == "6" {
		ip = 40
	}
	return float64(mtu-ip-tcp) / float64(mtu+ethernet)
}

// link is the rate of a link in Mbit/s in both directions.
type link struct{ up, down float64 }

// Set parses UP/DOWN.
func (l *link) Set(s string) error {
	up, down, _ := strings.Cut(s, "/")
	var err, err2 error
	l.up, err = strconv.ParseFloat(up, 64)
	l.down, err2 = strconv.ParseFloat(down, 64)
	if err != nil || err2 != nil || l.up < 0.01 || l.down < 0.01 || l.up > 1e5 || l.down > 1e5 {
		return fmt.Errorf("want UP/DOWN in Mbit/s from 0.01 to 100000, such as 40/100")
	}
	return nil
}

func (l *link) String() string { return fmt.Sprintf("%g/%g", l.up, l.down) }

// links are the links of the getters in turn.
type links []link

// Set parses UP/DOWN,UP/DOWN,...
func (l *links) Set(s string) error {
	var all links
	for part := range strings.SplitSeq(s, ",") {
		var one link
		if err := one.Set(part); err != nil {
			return err
		}
		all = append(all, one)
	}
	*l = all
	return nil
}

func (l *links) String() string {
	var s []string
	for _, one := range *l {
		s = append(s, one.String())
	}
	return strings.Join(s, ",")
}

// of returns the link of getter i.
func (l links) of(i int) link { return l[i%len(l)] }

// kinds are kinds of getters with their numbers.
type kinds []kindCount

type kindCount struct {
	kind string
	n    int
}

// Set parses KIND=N,KIND=N,... of getters.
func (k *kinds) Set(s string) error { return k.parse(s, "KIND", getterKinds) }

// parse parses NAME=N,NAME=N,... with known names. what stands for a name in errors.
func (k *kinds) parse(s, what string, known []string) error {
	var all kinds
	for part := range strings.SplitSeq(s, ",") {
		kind, count, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || !slices.Contains(known, kind) {
			return fmt.Errorf("%q: want %s=N with a %[2]s of %s", part, what, strings.Join(known, ", "))
		}
		all = append(all, kindCount{kind, n})
	}
	*k = all
	return nil
}

// total returns the number of all kinds together.
func (k *kinds) total() (n int) {
	for _, c := range *k {
		n += c.n
	}
	return n
}

func (k *kinds) String() string {
	var s []string
	for _, c := range *k {
		s = append(s, fmt.Sprintf("%s=%d", c.kind, c.n))
	}
	return strings.Join(s, ",")
}

// list is a list of words.
type list []string

// Set parses WORD,WORD,...
func (l *list) Set(s string) error {
	*l = strings.Split(s, ",")
	return nil
}

func (l *list) String() string { return strings.Join(*l, ",") }
