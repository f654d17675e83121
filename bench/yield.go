//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// bulkPort is the port of the receiver of a TCP connection.
const bulkPort = 7000

// yieldOptions are the values of the flags of bench yield.
type yieldOptions struct {
	runs    int
	rate    float64 // of the link that is shared, in Mbit/s
	queues  list    // the lengths of the queue before it
	seeds   list    // the programs that send over uTP
	settle  time.Duration
	measure time.Duration
	flows   int
	tcp     string // congestion control of the TCP connection
	python  string
	data    string
	spate   string
}

// yield measures how the uTP connections of seeds share a link with a TCP connection of the
// kernel, and with each other: the part of the link that one has alone and beside TCP, and the
// ratio of the largest to the smallest share of several.
func yield(args []string) error {
	o := yieldOptions{queues: list{"50ms", "200ms", "400ms"}, seeds: list{"spate", "libtorrent"}}
	fs := flag.NewFlagSet("yield", flag.ContinueOnError)
	fs.IntVar(&o.runs, "runs", 1, "number of runs of each measurement")
	fs.Float64Var(&o.rate, "rate", 16, "rate of the shared link in Mbit/s")
	fs.Var(&o.queues, "queues", "lengths of the queue before the link")
	fs.Var(&o.seeds, "seeds", "programs that send over uTP: spate,libtorrent")
	fs.DurationVar(&o.settle, "settle", 20*time.Second, "time before the measurement")
	fs.DurationVar(&o.measure, "measure", 40*time.Second, "time of the measurement")
	fs.IntVar(&o.flows, "flows", 10, "number of uTP connections that share the link")
	fs.StringVar(&o.tcp, "tcp", "cubic", "congestion control of the TCP connection")
	fs.StringVar(&o.data, "data", "/dev/shm", "directory for data, state and downloads")
	fs.StringVar(&o.spate, "spate", "", "path of the spate program (default: build it)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp(o.data, "spate-yield-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o755)
	if o.spate == "" {
		if o.spate, err = build(work); err != nil {
			return err
		}
	}
	o.python, _ = findLibtorrent()
	if err := raisePriority(); err != nil {
		return err
	}
	payload := filepath.Join(work, swarmFile)
	seconds := (2*o.settle + o.measure).Seconds() + 10
	if err := noise(payload, int64(seconds*o.rate*1e6/8)); err != nil { // no download ends before the measurement
		return err
	}
	torrent := filepath.Join(work, "x.torrent")
	if out, err := exec.Command(o.spate, "create", payload, "-o", torrent, "-q").CombinedOutput(); err != nil {
		return fmt.Errorf("spate create: %w: %s", err, out)
	}
	var rows []*row
	for _, queue := range o.queues {
		length, err := time.ParseDuration(queue)
		if err != nil {
			return err
		}
		for _, seed := range o.seeds {
			r := &row{name: seed + ", " + queue}
			rows = append(rows, r)
			for range o.runs {
				if err := o.run(r, work, torrent, seed, length); err != nil {
					r.note = err.Error()
				}
			}
		}
	}
	fmt.Printf("Parts of a link of %g Mbit/s during %v, by the seed and the queue before the link:\n\n", o.rate, o.measure)
	table([]string{"alone", "TCP came later", "TCP came first", fmt.Sprintf("%d flows: all", o.flows), "largest/smallest"}, rows, "")
	return nil
}

// run adds one run of each measurement to a row.
func (o *yieldOptions) run(r *row, work, torrent, seed string, queue time.Duration) error {
	var values []float64
	for _, tcp := range []string{"", "later", "first"} {
		parts, err := o.shares(work, torrent, seed, queue, 1, tcp)
		if err != nil {
			return err
		}
		values = append(values, parts[0])
	}
	parts, err := o.shares(work, torrent, seed, queue, o.flows, "")
	if err != nil {
		return err
	}
	all := 0.0
	for _, v := range parts {
		all += v
	}
	r.add(append(values, all, slices.Max(parts)/max(slices.Min(parts), 1e-9))...)
	return nil
}

// shares returns the part of the link that each of n getters received by uTP, each from a seed of
// its own. A TCP connection starts before ("first") or after them ("later"), or never ("").
func (o *yieldOptions) shares(work, torrent, seed string, queue time.Duration, n int, tcp string) (parts []float64, err error) {
	fast := link{1000, 1000}
	sink := n + 1 // the host that receives by TCP
	net, err := newSwarmNet(&swarmCase{originLink: link{o.rate, 1000}, links: links{fast}, mtu: 1500, family: "4", queue: queue}, sink)
	defer net.remove()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(work, "run-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var all []*process
	defer func() {
		for _, p := range slices.Backward(all) {
			p.stop()
		}
	}()
	begin := func(host int, args ...string) {
		p, failed := start(net.command(net.host(host), args))
		err = errors.Join(err, failed)
		if failed == nil {
			all = append(all, p)
		}
	}
	to := net.addr(sink, bulkPort)
	begin(sink, self, "bulk", "receive", to)
	bulk := func() { begin(originHost, self, "bulk", "send", to, o.tcp) }
	if tcp == "first" {
		bulk()
		time.Sleep(o.settle / 4)
	}
	for i := 1; i <= n; i++ {
		begin(originHost, o.seedCommand(net, work, dir, torrent, seed, i)...)
		begin(i, o.spate, "get", torrent, "-o", filepath.Join(dir, strconv.Itoa(i))+"/", "--state", filepath.Join(dir, fmt.Sprint("get", i)),
			"--peer", net.addr(originHost, peerPort+i), "--transport", "utp", "-q")
	}
	if tcp == "later" {
		time.Sleep(o.settle)
		bulk()
	}
	time.Sleep(o.settle)
	if err != nil {
		return nil, err
	}
	before, err := receivedBy(net, n)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	time.Sleep(o.measure)
	after, err := receivedBy(net, n)
	if err != nil {
		return nil, err
	}
	full := o.rate * 1e6 / 8 * time.Since(began).Seconds()
	for i := range after {
		parts = append(parts, (after[i]-before[i])/full)
	}
	for _, p := range all {
		err = errors.Join(err, p.running())
	}
	return parts, err
}

// seedCommand returns the command line of seed i, which sends by uTP without a limit of its own.
func (o *yieldOptions) seedCommand(net *swarmNet, work, dir, torrent, seed string, i int) []string {
	if seed == "spate" {
		return []string{o.spate, "seed", torrent, "--data", filepath.Join(work, swarmFile), "--state", filepath.Join(dir, fmt.Sprint("seed", i)),
			"--bind", net.ip4(originHost), "--peer-port", strconv.Itoa(peerPort + i), "--up", "0", "-q"}
	}
	return []string{o.python, "-c", libtorrentPeer, asJSON(map[string]any{
		"listen": net.addr(originHost, peerPort+i), "dht": false, "router": false, "tcp": false, "up": 0, "seed": true,
		"torrent": torrent, "dir": work, "super": false, "leave": false,
	})}
}

// receivedBy returns the bytes that the links of the getters 1 to n have carried to them.
func receivedBy(net *swarmNet, n int) (bytes []float64, err error) {
	for i := 1; i <= n; i++ {
		b, err := net.received(i)
		if err != nil {
			return nil, err
		}
		bytes = append(bytes, b)
	}
	return bytes, nil
}
