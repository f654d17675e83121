//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// swarmRun is one run of a case with one origin.
type swarmRun struct {
	o       *swarmOptions
	in      *installs
	origin  string
	run     int
	order   []string // kinds of the getters
	work    string   // directory of this run
	data    string   // directory of the file
	net     *swarmNet
	release release
	helpers []*process // the origin, the tracker and the watcher
	getters []*swarmGetter
	logs    map[string][]*process // processes whose output is kept, by the name of their log
	first   float64               // bytes that the origin's link had carried when the first copy was out, or NaN

	mu      sync.Mutex
	allSeen time.Time // when the watcher saw that the getters have each piece
}

// swarmResult is the result of a run, as a line of JSON.
type swarmResult struct {
	Origin         string         `json:"origin"`
	Case           string         `json:"case"`
	Run            int            `json:"run"`
	MiB            int            `json:"mib"`
	Pieces         int            `json:"pieces"`
	Bound          float64        `json:"bound"` // seconds
	BoundBy        string         `json:"bound_by"`
	Last           *float64       `json:"last"` // seconds
	T              *float64       `json:"t"`    // multiple of the bound, as Mean
	Mean           *float64       `json:"mean"`
	Copies         float64        `json:"copies"`
	First          *float64       `json:"first"`
	HTTP           *float64       `json:"http"`     // copies that the site sent
	Browsers       *float64       `json:"browsers"` // multiple of the bound until the last curl ended
	Riders         *float64       `json:"riders"`   // the same of the free riders
	Waited         float64        `json:"waited"`   // longest time in seconds that a curl waited for a byte
	Incomplete     int            `json:"incomplete"`
	IncompleteCurl int            `json:"incomplete_curl"`
	Different      int            `json:"different"`
	Halts          int            `json:"halts"`
	Busy           float64        `json:"busy"` // part of the processors that was busy
	Getters        []getterResult `json:"getters"`
}

// getterResult is the result of a getter.
type getterResult struct {
	Kind    string   `json:"kind"`
	Link    string   `json:"link"`
	Rider   bool     `json:"rider,omitempty"`
	Kills   int      `json:"kills,omitempty"`
	Started float64  `json:"started"` // seconds after the common start
	Took    *float64 `json:"took"`
	Given   float64  `json:"given"` // payload that it sent in copies, for spate, libtorrent and webtorrent
	// Of a browser, in seconds after the click: the first open data channel, and the first block over one.
	Connected *float64 `json:"connected,omitempty"`
	First     *float64 `json:"first,omitempty"`
}

// measure creates the network, starts the programs, and waits until all getters have the file.
func (s *swarmRun) measure(ctx context.Context) (*swarmResult, error) {
	s.logs, s.first = map[string][]*process{}, math.NaN()
	var err error
	if s.net, err = newSwarmNet(&s.o.swarmCase, len(s.order)); err != nil {
		return nil, err
	}
	if err := s.startOrigin(); err != nil {
		return nil, err
	}
	for i, kind := range s.order {
		g, err := s.newGetter(i, kind)
		if err != nil {
			return nil, err
		}
		s.getters = append(s.getters, g)
	}
	for _, g := range s.getters {
		if staged(g.kind) {
			if err := g.prepare(); err != nil {
				return nil, fmt.Errorf("getter %s: %w", g.name(), err)
			}
		}
	}
	if err := s.watch(); err != nil {
		return nil, err
	}
	if len(s.o.useless) > 0 {
		if err := s.startUseless(); err != nil {
			return nil, err
		}
	}
	select { // until the watcher runs
	case <-ctx.Done():
		return nil, errors.New("interrupted")
	case <-time.After(500 * time.Millisecond):
	}
	return s.distribute(ctx)
}

// distribute starts the getters at their times and waits until all have the file.
func (s *swarmRun) distribute(ctx context.Context) (*swarmResult, error) {
	bound, _ := s.o.bound(s.order)
	kills := s.killTimes(bound)
	wire, err := s.net.sent()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	all, idle := machineTime()
	limit := time.Duration(s.o.patience(s.order) * float64(time.Second))
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting && time.Since(began) < limit; {
		select {
		case <-ctx.Done():
			return nil, errors.New("interrupted")
		case <-tick.C:
		}
		waiting = false
		for i, g := range s.getters {
			if err := g.step(time.Since(began), kills[i]); err != nil {
				return nil, fmt.Errorf("getter %s: %w", g.name(), err)
			}
			waiting = waiting || g.done().IsZero()
		}
		if math.IsNaN(s.first) && !s.seen().IsZero() {
			now, err := s.net.sent()
			if err != nil {
				return nil, err
			}
			s.first = now - wire
		}
	}
	end, err := s.net.sent()
	if err != nil {
		return nil, err
	}
	all2, idle2 := machineTime()
	res := s.result(began, end-wire)
	res.Busy = round(1 - (idle2-idle)/max(1, all2-all))
	return res, nil
}

// result stops the getters and returns the result of the run. wire is what the origin's link
// has carried, with headers.
func (s *swarmRun) result(began time.Time, wire float64) *swarmResult {
	o, size := s.o, float64(s.o.bytes())
	share := payload(o.mtu, o.family) / size
	bound, by := o.bound(s.order)
	r := &swarmResult{
		Origin: s.origin, Case: o.describe(), Run: s.run, MiB: o.size, Pieces: s.release.Pieces,
		Bound: round(bound), BoundBy: by, Copies: round(wire * share),
	}
	if s.origin == "spate" && s.askSite() == nil {
		r.HTTP = pointer(s.release.HTTPBytes / size)
	}
	for end := time.Now().Add(2 * time.Second); s.seen().IsZero() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // the watcher hears the last pieces a little later
	}
	if math.IsNaN(s.first) && !s.seen().IsZero() {
		s.first = wire
	}
	if !math.IsNaN(s.first) {
		r.First = pointer(s.first * share)
	}
	s.stopGetters()
	s.addGetters(r, began, bound)
	return r
}

// addGetters adds the results of the getters to r and compares their files. The times of a
// swarm of which a getter is not complete are left out, because they would look better than
// they are.
func (s *swarmRun) addGetters(r *swarmResult, began time.Time, bound float64) {
	only := curls(s.order) == len(s.order)
	var peers, riders, browsers spell
	for _, g := range s.getters {
		one := getterResult{
			Kind: g.kind, Link: g.link.String(), Rider: g.job.rider, Kills: g.kills,
			Started: round(g.started.Sub(began).Seconds()), Given: round(float64(g.given.Load()) / float64(s.o.bytes())),
		}
		one.Connected, one.First = seconds(&g.connected), seconds(&g.block)
		r.Halts += int(g.halts.Load())
		of := &peers
		switch {
		case g.kind == "curl":
			of = &browsers
			r.Waited = max(r.Waited, round(g.waited.Seconds()))
		case g.job.rider && s.o.riders < len(s.order):
			of = &riders
		}
		of.n++
		if done := g.done(); done.IsZero() {
			of.missing++
		} else {
			took := done.Sub(g.started).Seconds()
			one.Took = pointer(took)
			of.sum += took
			of.last = max(of.last, done.Sub(began).Seconds())
			if !same(filepath.Join(s.data, swarmFile), filepath.Join(g.job.dir, swarmFile)) {
				r.Different++
			}
		}
		r.Getters = append(r.Getters, one)
	}
	r.Incomplete, r.IncompleteCurl = peers.missing+riders.missing, browsers.missing
	r.Browsers, r.Riders = browsers.until(bound), riders.until(bound)
	if only {
		peers = browsers
	}
	r.T = peers.until(bound)
	if r.T != nil {
		r.Last, r.Mean = pointer(peers.last), pointer(peers.sum/float64(peers.n)/bound)
	}
}

// spell collects the times of getters in seconds.
type spell struct {
	n, missing int     // getters, and those that did not finish
	last, sum  float64 // time of the last one, and the sum of all times
}

// until returns the time of the last getter as a multiple of the bound, or nil if there is none
// or one did not finish.
func (p *spell) until(bound float64) *float64 {
	if p.n == 0 || p.missing > 0 {
		return nil
	}
	return pointer(p.last / bound)
}

// round rounds to a thousandth.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// pointer returns a pointer to the rounded v.
func pointer(v float64) *float64 {
	v = round(v)
	return &v
}

// seconds returns the time that a browser has told, or nil.
func seconds(bits *atomic.Uint64) *float64 {
	if v := math.Float64frombits(bits.Load()); v > 0 {
		return pointer(v)
	}
	return nil
}

// killTimes returns at which times after the start getters are killed; 0 for most.
func (s *swarmRun) killTimes(bound float64) []time.Duration {
	r := rand.New(rand.NewPCG(s.o.seed, uint64(s.run)))
	times := make([]time.Duration, len(s.getters))
	left := s.o.churn
	for _, i := range r.Perm(len(times)) {
		if left > 0 && s.getters[i].kind != "curl" {
			times[i] = time.Duration((0.2 + 0.5*r.Float64()) * bound * float64(time.Second))
			left--
		}
	}
	return times
}

// watch starts the watcher, which tells when the getters together have each piece.
func (s *swarmRun) watch() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if slices.Contains(s.order, "browser") { // nobody can connect to a browser to ask it
		return nil
	}
	args := []string{self, "watch", fmt.Sprint(s.release.Pieces)}
	for _, g := range s.getters {
		arg := s.hashFor(g.kind) + "=" + s.net.addr(g.host, peerPort)
		switch g.kind {
		case "curl":
			continue
		case "transmission", "rtorrent": // the first collects HAVEs for ten seconds, the other sends a peer without pieces none
			arg += "/again"
		}
		args = append(args, arg)
	}
	if len(args) == 3 {
		return nil
	}
	p, err := s.start(trackerSide, "watcher", args, nil, func(line string) {
		if line == "ALL" {
			s.mu.Lock()
			s.allSeen = time.Now()
			s.mu.Unlock()
		}
	})
	if err == nil {
		s.helpers = append(s.helpers, p)
	}
	return err
}

// startUseless starts the useless peers and waits until they have connected to the origin.
func (s *swarmRun) startUseless() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	targets := []string{s.net.addr(originHost, peerPort)}
	for _, g := range s.getters {
		if g.kind != "curl" && g.kind != "browser" {
			targets = append(targets, s.net.addr(g.host, peerPort))
		}
	}
	var ready atomic.Bool
	args := []string{self, "useless", s.release.hash(), fmt.Sprint(s.release.Pieces), fmt.Sprint(s.release.PieceLength), strings.Join(targets, ","), s.o.useless.String()}
	p, err := s.start(uselessSide, "useless", args, nil, func(line string) { ready.Store(ready.Load() || line == "READY") })
	if err != nil {
		return err
	}
	s.helpers = append(s.helpers, p)
	return until(p, func() error {
		if !ready.Load() {
			return errors.New("the useless peers are not ready")
		}
		return nil
	})
}

// seen returns when the watcher saw that the getters have each piece, or zero.
func (s *swarmRun) seen() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allSeen
}

// usesTwin reports whether getters of a kind take the v1 twin of a hybrid, because they cannot
// use hybrids.
func (s *swarmRun) usesTwin(kind string) bool {
	switch kind {
	case "transmission", "aria2", "rtorrent", "webtorrent":
		return s.release.Twin != ""
	}
	return false
}

// torrentFor returns the torrent for getters of a kind.
func (s *swarmRun) torrentFor(kind string) string {
	if s.usesTwin(kind) {
		return s.file("twin.torrent")
	}
	return s.file("x.torrent")
}

// hashFor returns the info-hash of torrentFor.
func (s *swarmRun) hashFor(kind string) string {
	if s.usesTwin(kind) {
		return s.release.Twin
	}
	return s.release.hash()
}

// stopGetters stops all getters at once.
func (s *swarmRun) stopGetters() {
	var wg sync.WaitGroup
	for _, g := range s.getters {
		wg.Go(g.stop)
	}
	wg.Wait()
}

// close stops all programs and removes the network.
func (s *swarmRun) close() {
	s.stopGetters()
	for _, p := range s.helpers {
		p.stop()
	}
	s.net.remove()
}

// keepLogs stops all programs and writes their output into a new directory.
func (s *swarmRun) keepLogs(dir string) error {
	s.stopGetters()
	for _, p := range s.helpers {
		p.stop()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for name, all := range s.logs {
		var text strings.Builder
		for _, p := range all {
			text.Write(p.log.Bytes())
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, name+".log"), []byte(text.String()), 0o644))
	}
	return errors.Join(errs...)
}
