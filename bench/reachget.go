//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// labGetter is a getter of a cell, with the time at which it had received 64 KiB.
type labGetter struct {
	*swarmGetter
	network string
	first   atomic.Int64 // nanoseconds since 1970
}

// get starts the getters, and waits until they have the file or the time is up.
func (r *reachRun) get(ctx context.Context, l *reachLab, res *reachResult) error {
	var all []*labGetter
	for i := range r.o.crowd {
		home, network := crowdHome(i)
		g, err := r.startGetter(l, home+"1", res.Get)
		if err != nil {
			return err
		}
		defer g.close()
		g.network = network
		all = append(all, g)
	}
	if r.o.late {
		relay, err := r.startLateRelay(l, res.Get)
		if err != nil {
			return fmt.Errorf("the relay: %w", err)
		}
		defer relay.close()
		all = append(all, relay)
	}
	if err := r.await(ctx, all); err != nil {
		return err
	}
	return r.judge(l, all[:r.o.crowd], res)
}

// await waits until all getters but a relay have the file, or the time is up.
func (r *reachRun) await(ctx context.Context, all []*labGetter) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for time.Since(all[0].started) < r.o.limit {
		select {
		case <-ctx.Done():
			return errors.New("interrupted")
		case <-tick.C:
		}
		missing := 0
		for i, g := range all {
			if err := errors.Join(g.tell(), g.look()); err != nil {
				return fmt.Errorf("the getter %s: %w", g.network, err)
			}
			if i < r.o.crowd && g.done().IsZero() {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
	}
	return nil
}

// judge compares the files and sets the times of res, which are those of the last getter.
func (r *reachRun) judge(l *reachLab, getters []*labGetter, res *reachResult) error {
	latest := func(at func(g *labGetter) time.Time) *float64 {
		last := 0.0
		for _, g := range getters {
			t := at(g)
			if t.IsZero() {
				return nil
			}
			last = max(last, t.Sub(g.started).Seconds())
		}
		return pointer(last)
	}
	res.Announced = latest(func(g *labGetter) time.Time { return l.announced(g.network) })
	res.First = latest(func(g *labGetter) time.Time {
		if n := g.first.Load(); n != 0 {
			return time.Unix(0, n)
		}
		return time.Time{}
	})
	res.Last = latest(func(g *labGetter) time.Time { return g.done() })
	for _, g := range getters {
		if len(getters) > 1 {
			var end *float64
			if t := g.done(); !t.IsZero() {
				end = pointer(t.Sub(g.started).Seconds())
			}
			res.Each = append(res.Each, end)
		}
		if !g.done().IsZero() && !same(filepath.Join(r.data, swarmFile), filepath.Join(g.job.dir, swarmFile)) {
			return errors.New("the file DIFFERS from the original")
		}
	}
	return nil
}

// startLateRelay starts the third peer of -late-relay.
func (r *reachRun) startLateRelay(l *reachLab, program string) (*labGetter, error) {
	j := r.job(l, "relay")
	j.up = 20
	return r.startJob(l, relayHost, program, j)
}

// startGetter starts a getter.
func (r *reachRun) startGetter(l *reachLab, host, program string) (*labGetter, error) {
	return r.startJob(l, host, program, r.job(l, "get-"+host))
}

// startJob starts a peer that downloads, and the program that watches for its first bytes.
func (r *reachRun) startJob(l *reachLab, host, program string, j peerJob) (*labGetter, error) {
	for _, dir := range []string{j.state, j.dir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	g := &labGetter{swarmGetter: &swarmGetter{kind: program, job: j}, network: host}
	_, err = l.start(host, "firstbytes-"+host, []string{self, "firstbytes", "eth0"}, nil, func(line string) {
		if line == "FIRST" {
			g.first.Store(time.Now().UnixNano())
		}
	})
	if err != nil {
		return nil, err
	}
	args, err := r.in.peer(g.kind, g.job)
	if err != nil {
		return nil, err
	}
	var in *os.File
	if staged(g.kind) {
		if in, g.stdin, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	g.started = time.Now()
	g.proc, err = l.start(host, "getter-"+host, args, in, g.heard)
	return g, err
}
