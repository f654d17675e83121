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
// own starts; all three without curl, if there are other getters. copies is what the origin's link
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
		if o.spate, err = build(work); err != nil {
			return err
		}
	}
	if err := raisePriority(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: the programs run at the usual priority: %v\n", err)
	}
	defer raiseNeighbours()()
	in := findInstalls(o)
	fmt.Printf("%s, %d processors, Linux %s\n\n", cpuModel(), runtime.NumCPU(), kernel())
	in.describe()
	return measureSwarms(ctx, o, cases, in, work)
}

// measureSwarms measures all cases in turn, as often as the options say, and prints a table,
// also when it is interrupted.
func measureSwarms(ctx context.Context, o *swarmOptions, cases []*swarmOptions, in *installs, work string) error {
	count := 0
	for _, c := range cases {
		count += len(c.origins) * o.runs
	}
	fmt.Fprintf(os.Stderr, "%d runs:\n", count)
	failed := 0
	var rows []*row
	for run := range o.runs {
		i := 0
		for _, c := range cases {
			for _, origin := range c.origins {
				if run == 0 {
					rows = append(rows, &row{name: origin + " → " + c.describe()})
				}
				r := rows[i]
				i++
				if ctx.Err() != nil || r.note != "" && r.cells == nil {
					continue
				}
				if err := measureSwarm(ctx, o, c, in, origin, run, work, r); err != nil {
					failed++
					r.say(run, "%v", err)
					fmt.Fprintf(os.Stderr, "  %s: %v\n", r.name, err)
				}
			}
		}
	}
	fmt.Printf("## Swarms of real programs\n\nLeast, **median** and greatest of %d runs.\n\n", o.runs)
	table(swarmHeads, rows, "")
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if failed > 0 {
		return fmt.Errorf("%d runs failed; the notes of the table say why", failed)
	}
	return nil
}

// measureSwarm measures one run of a case with one origin and adds its result to r.
func measureSwarm(ctx context.Context, o, c *swarmOptions, in *installs, origin string, run int, work string, r *row) error {
	order := c.order(run)
	if err := in.missing(origin, order); err != nil {
		return err
	}
	s := &swarmRun{o: c, in: in, origin: origin, run: run, order: order}
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
			return err
		}
	}
	defer os.RemoveAll(s.work)
	defer s.close()
	res, err := s.measure(ctx)
	if o.logs != "" {
		err = errors.Join(err, s.keepLogs(filepath.Join(o.logs, fmt.Sprintf("%s %s %d", r.name, time.Now().Format("150405"), run))))
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
	if res.Browsers != nil {
		r.say(res.Run, "the last curl after %.3g of the bound, at most %.0f s without a byte", *res.Browsers, res.Waited)
	}
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
