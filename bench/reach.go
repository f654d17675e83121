//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The kinds of homes, as e2e/testdata/natlab.sh describes them, and the programs of cells.
var (
	homeKinds     = list{"masq", "full", "symmetric", "upnp", "igd", "pmp", "cgn", "forward", "fw", "open"}
	reachPrograms = list{"spate", "libtorrent", "transmission-daemon", "qbittorrent"}
)

// reachOptions are the options of the measurement of homes.
type reachOptions struct {
	publishers, getters list // kinds of homes
	programs            list
	mixed               bool // the publisher and the getter are different programs too
	dht                 bool // a magnet link without a tracker instead of a torrent
	udp                 bool // the tracker's URL is udp
	relay               bool // a third peer with a public address and a slow line is in the swarm
	late                bool // such a peer, which starts after the getters and is of the getter's program
	crowd               int  // number of getters, each in a home of its own
	size                int  // MiB
	limit, lead         time.Duration
	parallel            int
	json, logs          string
	data, spate         string
}

// reach measures whether a getter in one home fetches a file from a publisher in another, and
// when: for all kinds of homes and all programs that the options name. Each cell has a public net of its
// own with two homes and a tracker. Without -relay no third peer helps.
func reach(args []string) error {
	o, err := parseReach(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("reach needs root, because it creates network namespaces")
	}
	if err := lookFor("ip", "nft", "tc", "bash", "cmp", "miniupnpd"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work, err := os.MkdirTemp(o.data, "spate-reach-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o755)
	if o.spate == "" {
		o.spate, err = build(work)
	} else {
		o.spate, err = filepath.Abs(o.spate)
	}
	if err != nil {
		return err
	}
	in := findInstalls(&swarmOptions{spate: o.spate})
	for _, p := range o.programs {
		if err := in.missing(p, nil); err != nil {
			return err
		}
	}
	defer raiseNeighbours()()
	r := &reachRun{o: o, in: in, work: work, data: filepath.Join(work, "data"), torrent: filepath.Join(work, "x.torrent")}
	if err := r.prepare(); err != nil {
		return err
	}
	fmt.Printf("%s, %d processors, Linux %s\n\n", cpuModel(), runtime.NumCPU(), kernel())
	in.describe()
	results := r.measure(ctx)
	printReach(os.Stdout, o, results)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// parseReach returns the options of the command line.
func parseReach(args []string, usage io.Writer) (*reachOptions, error) {
	o := &reachOptions{publishers: homeKinds[:9], getters: homeKinds[:9], programs: reachPrograms}
	fs := flag.NewFlagSet("reach", flag.ContinueOnError)
	fs.Var(&o.publishers, "publishers", "kinds of the publisher's home: "+strings.Join(homeKinds, ","))
	fs.Var(&o.getters, "getters", "kinds of the getter's home")
	fs.Var(&o.programs, "programs", "programs: "+strings.Join(reachPrograms, ","))
	fs.BoolVar(&o.mixed, "mixed", false, "combine each program with all others")
	fs.BoolVar(&o.dht, "dht", false, "use a magnet link without a tracker, and the DHT")
	fs.BoolVar(&o.udp, "udp", false, "announce over UDP instead of HTTP")
	fs.BoolVar(&o.relay, "relay", false, "add a spate with a public address that helps to punch holes, but transfers 20 kB/s at most")
	fs.BoolVar(&o.late, "late-relay", false, "add a peer of the getter's program with a public address that starts after the getters and sends 20 kB/s at most")
	fs.IntVar(&o.crowd, "crowd", 1, "number of getters, each in a home of its own")
	fs.IntVar(&o.size, "size", 8, "size of the file in MiB")
	fs.DurationVar(&o.limit, "limit", 2*time.Minute, "give up after this time")
	fs.DurationVar(&o.lead, "lead", 5*time.Second, "time between the publisher's announce (with -dht: its start) and the getter")
	fs.IntVar(&o.parallel, "parallel", 6, "number of cells that are measured at the same time")
	fs.StringVar(&o.json, "json", "", "append a line of JSON for each cell to this file")
	fs.StringVar(&o.logs, "logs", "", "keep the output of the programs in this directory")
	fs.StringVar(&o.data, "data", "/dev/shm", "directory for data, state and downloads")
	fs.StringVar(&o.spate, "spate", "", "path of the spate program (default: build it)")
	fs.SetOutput(io.Discard) // the caller prints the error
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(usage, "bench reach measures who can fetch from a publisher behind a home router.")
			fs.SetOutput(usage)
			fs.PrintDefaults()
		}
		return nil, err
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("reach takes only flags, but got %q", fs.Arg(0))
	case (o.relay || o.late || o.crowd > 1) && o.dht:
		return nil, errors.New("-relay, -late-relay and -crowd need the tracker, which -dht has not")
	case o.relay && o.late:
		return nil, errors.New("-relay and -late-relay exclude each other")
	case o.crowd < 1 || o.crowd > maxCrowd:
		return nil, fmt.Errorf("-crowd must be from 1 to %d", maxCrowd)
	case o.size < 1 || o.parallel < 1 || o.limit <= 0:
		return nil, errors.New("-size, -parallel and -limit must be positive")
	}
	for _, c := range []struct{ words, known list }{{o.publishers, homeKinds}, {o.getters, homeKinds}, {o.programs, reachPrograms}} {
		for _, w := range c.words {
			if !slices.Contains(c.known, w) {
				return nil, fmt.Errorf("unknown word %q: want some of %s", w, c.known.String())
			}
		}
	}
	return o, nil
}

// maxCrowd bounds -crowd: the homes of the getters are called by the letters from a on, and r and n
// are other homes.
const maxCrowd = 8

// reachRun is one run of the measurement. The cells share the file and the torrent.
type reachRun struct {
	o             *reachOptions
	in            *installs
	work          string
	data, torrent string // the directory of the file, and the torrent of it
	magnet        string

	mu sync.Mutex // guards the file of results
}

// prepare creates the file, its torrent and the magnet link.
func (r *reachRun) prepare() error {
	if err := os.Mkdir(r.data, 0o755); err != nil {
		return err
	}
	payload := filepath.Join(r.data, swarmFile)
	if err := noise(payload, int64(r.o.size)<<20); err != nil {
		return err
	}
	args := []string{"create", payload, "-o", r.torrent, "--format", "v1", "-q"}
	if !r.o.dht {
		args = append(args, "-a", r.o.trackerURL())
	}
	if out, err := exec.Command(r.in.spate, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("spate create: %w: %s", err, out)
	}
	var about release
	out, err := exec.Command(r.in.spate, "show", r.torrent, "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &about)
	}
	r.magnet = "magnet:?xt=urn:btih:" + about.hash()
	return err
}

// trackerURL returns the announce URL of the tracker on the public host srv.
func (o *reachOptions) trackerURL() string {
	if o.udp {
		return "udp://44.1.0.10:6969/announce"
	}
	return "http://44.1.0.10:6969/announce"
}

// cells returns the cells to measure.
func (o *reachOptions) cells() (all []reachCell) {
	for _, p := range o.programs {
		for _, q := range o.programs {
			if p != q && !o.mixed {
				continue
			}
			for _, from := range o.publishers {
				for _, to := range o.getters {
					all = append(all, reachCell{Publisher: from, Getter: to, Seed: p, Get: q})
				}
			}
		}
	}
	return all
}

// measure measures all cells, several at a time, and returns their results.
func (r *reachRun) measure(ctx context.Context) []reachResult {
	cells := r.o.cells()
	results := make([]reachResult, len(cells))
	next := make(chan int)
	var wg sync.WaitGroup
	for range r.o.parallel {
		wg.Go(func() {
			for i := range next {
				results[i] = r.measureCell(ctx, i, cells[i])
			}
		})
	}
	for i := range cells {
		if ctx.Err() != nil {
			results[i] = reachResult{reachCell: cells[i], Error: "interrupted"}
			continue
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

// measureCell measures one cell, and appends the result to the file of results.
func (r *reachRun) measureCell(ctx context.Context, i int, c reachCell) reachResult {
	res := reachResult{reachCell: c}
	if err := r.runCell(ctx, i, &res); err != nil {
		res.Error = err.Error()
	}
	fmt.Fprintf(os.Stderr, "  %s: %s %s\n", c, res.times(), res.Error)
	if r.o.json == "" {
		return res
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(r.o.json, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(json.NewEncoder(f).Encode(res), f.Close())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: the result is not kept: %v\n", err)
	}
	return res
}
