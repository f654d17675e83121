//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// swarmFile is the name of the file that a swarm distributes.
const swarmFile = "payload.bin"

// swarmHeads are the columns of the table of swarms.
var swarmHeads = []string{"bound, s", "T/bound", "mean/bound", "copies", "first copy", "by HTTP"}

// swarms measures how swarms of real programs distribute a file over slow links.
//
// The bound is the least time in which all getters can have the file. T is the time from the
// common start until the last getter has it, and mean the mean time of the getters from their
// own starts; the times without free riders, and all three without curl, if there are other getters. copies is what the origin's link
// carried until the end, first copy what it carried until the getters together had each piece,
// and by HTTP what the site of spate publish sent, all divided by the size of the file.
func swarms(args []string) error {
	o, cases, err := parseSwarm(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("a swarm needs root, because it creates network namespaces")
	}
	if err := lookFor("ip", "tc", "cmp"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work, err := os.MkdirTemp(o.data, "spate-swarm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o755)
	if o.spate == "" {
		o.spate, err = build(work)
	} else if o.spate, err = filepath.Abs(o.spate); err == nil {
		_, err = os.Stat(o.spate)
	}
	if err != nil {
		return err
	}
	if err := raisePriority(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: the programs run at the usual priority: %v\n", err)
	}
	defer raiseNeighbours()()
	if o.playwright == "" && slices.ContainsFunc(cases, func(c *swarmOptions) bool { return slices.Contains(c.order(0), "browser") }) {
		if o.playwright, err = installPlaywright(filepath.Join(work, "web")); err != nil {
			fmt.Fprintf(os.Stderr, "bench: playwright-core, which drives browsers, cannot be installed: %v\n", err)
		}
	}
	in := findInstalls(o)
	fmt.Printf("%s, %d processors, Linux %s\n\n", cpuModel(), runtime.NumCPU(), kernel())
	in.describe()
	return measureSwarms(ctx, o, cases, in, work)
}

// browsers measures swarms of browsers that download in the release page, unless the arguments name
// other getters.
func browsers(args []string) error {
	for _, a := range args {
		if name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); name == "getters" || name == "rows" {
			return swarms(args)
		}
	}
	return swarms(append([]string{"-rows", "pages"}, args...))
}

// swarmRow is a case with one of its origins, and its row of the table.
type swarmRow struct {
	*row
	c      *swarmOptions
	origin string
}

// measureSwarms measures all cases in turn, as often as the options say, and prints a table,
// also when it is interrupted.
func measureSwarms(ctx context.Context, o *swarmOptions, cases []*swarmOptions, in *installs, work string) error {
	var rows []*row
	var measured []swarmRow
	for _, c := range cases {
		for _, origin := range c.origins {
			r := &row{name: origin + " → " + c.describe()}
			rows = append(rows, r)
			if err := in.missing(origin, c.order(0)); err != nil {
				r.note = err.Error()
			} else {
				measured = append(measured, swarmRow{r, c, origin})
			}
		}
	}
	fmt.Fprintf(os.Stderr, "runs to measure: %d\n", len(measured)*o.runs)
	failed := 0
	for run := range o.runs {
		for _, r := range measured {
			if ctx.Err() != nil {
				break
			}
			if err := measureSwarm(ctx, o, r, in, run, work); err != nil {
				failed++
				r.say(run, "%v", err)
				fmt.Fprintf(os.Stderr, "  %s: %v\n", r.name, err)
			}
		}
	}
	fmt.Printf("## Swarms of real programs\n\nLeast, **median** and greatest; runs of each case: %d.\n\n", o.runs)
	table(swarmHeads, rows, "")
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if failed > 0 {
		return fmt.Errorf("runs that failed: %d; the notes of the table say why", failed)
	}
	return nil
}

// measureSwarm measures one run of a row and adds its result to it.
func measureSwarm(ctx context.Context, o *swarmOptions, r swarmRow, in *installs, run int, work string) error {
	c := r.c
	s := &swarmRun{o: c, in: in, origin: r.origin, run: run, order: c.order(run)}
	var err error
	if s.work, err = os.MkdirTemp(work, "run-"); err != nil {
		return err
	}
	os.Chmod(s.work, 0o755)
	s.data = filepath.Join(work, fmt.Sprint("data", c.size))
	payload := filepath.Join(s.data, swarmFile)
	if _, err := os.Stat(payload); err != nil {
		if err := os.MkdirAll(s.data, 0o755); err != nil {
			return err
		}
		if err := noise(payload, c.bytes()); err != nil {
			os.Remove(payload)
			return err
		}
	}
	defer os.RemoveAll(s.work)
	defer s.close()
	res, err := s.measure(ctx)
	if o.logs != "" {
		name := strings.ReplaceAll(fmt.Sprintf("%s %s", time.Now().Format("150405"), r.name), "/", "-")
		err = errors.Join(err, s.keepLogs(filepath.Join(o.logs, name)))
	}
	if err != nil {
		return err
	}
	r.add(res.Bound, value(res.T), value(res.Mean), res.Copies, value(res.First), value(res.HTTP))
	r.remark(res)
	if o.json != "" {
		f, err := os.OpenFile(o.json, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := errors.Join(json.NewEncoder(f).Encode(res), f.Close()); err != nil {
			return err
		}
	}
	if res.Different > 0 {
		return fmt.Errorf("%d files DIFFER from the original", res.Different)
	}
	return nil
}

// value returns *v, or NaN without one.
func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// remark adds to the note what the values of a run do not tell.
func (r *row) remark(res *swarmResult) {
	if res.Incomplete > 0 {
		r.say(res.Run, "%d getters did not finish", res.Incomplete)
	}
	if res.Halts > 0 {
		r.say(res.Run, "%d errors of getters", res.Halts)
	}
	if res.IncompleteCurl > 0 {
		r.say(res.Run, "%d curl did not finish, at most %.0f s without a byte", res.IncompleteCurl, res.Waited)
	}
	var connected, first spread
	for _, g := range res.Getters {
		connected.add(g.Connected)
		first.add(g.First)
	}
	if connected.n > 0 {
		r.say(res.Run, "pages connected after %s s, first block over a data channel after %s s", connected, first)
	}
	if res.Riders != nil {
		r.say(res.Run, "the last free rider after %.3g of the bound", *res.Riders)
	}
	if res.Browsers != nil {
		r.say(res.Run, "the last curl after %.3g of the bound, at most %.0f s without a byte", *res.Browsers, res.Waited)
	}
}

// spread is the least and the greatest of some values.
type spread struct {
	n           int
	least, most float64
}

// add adds *v, unless v is nil.
func (s *spread) add(v *float64) {
	if v == nil {
		return
	}
	if s.n == 0 {
		s.least, s.most = *v, *v
	}
	s.n, s.least, s.most = s.n+1, min(s.least, *v), max(s.most, *v)
}

func (s spread) String() string {
	if s.n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f to %.1f", s.least, s.most)
}

// say adds a sentence about a run to the note.
func (r *row) say(run int, format string, args ...any) {
	if r.note != "" {
		r.note += "; "
	}
	r.note += fmt.Sprintf("run %d: ", run+1) + fmt.Sprintf(format, args...)
}

// fetch prints the body of a URL.
func fetch(args []string) error {
	if len(args) != 1 {
		return errors.New("fetch needs a URL")
	}
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(args[0])
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", args[0], resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
