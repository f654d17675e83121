package torrent_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/torrent"
)

// program is a BitTorrent program that a member of a simulated swarm runs.
type program string

const (
	libtorrent   program = "libtorrent"
	transmission program = "Transmission"
	aria2        program = "aria2"
)

// newModel returns the model of a program for a peer.
func (g program) newModel(p *foreignPeer) clientModel {
	switch g {
	case libtorrent:
		return newLibtorrent(p)
	case transmission:
		return newTransmission(p)
	case aria2:
		return newAria2(p)
	}
	panic("no model of " + string(g))
}

// foreignPeer returns member i, which runs another program; the origin is 0.
func (sw *swarm) foreignPeer(i int, link simnet.Link, runs program, complete bool) *foreignPeer {
	p := newForeignPeer(sw.world.Host(addrOf(i), link), sw.seed*1000+uint64(i+1), sw.data, sw.piece, sw.mi.Hash(), complete)
	p.id = spate.PeerID([]byte(fmt.Sprintf("-XX0100-%012d", i)))
	p.bad = sw.t.Errorf
	if !complete {
		p.written = sw.written
	}
	p.model = runs.newModel(p)
	return p
}

// runForeign runs a peer until ctx is done.
func (sw *swarm) runForeign(ctx context.Context, p *foreignPeer) {
	if err := p.run(ctx, sw.tracker.announcerAt(p.addr.Addr())); err != nil && ctx.Err() == nil {
		sw.t.Errorf("the peer at %v failed: %v", p.addr, err)
	}
}

// runForeignMember does what runMember does, for a member that runs another program.
func (sw *swarm) runForeignMember(ctx context.Context, i int, m *member) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := sw.foreignPeer(i, m.link, m.program, false)
	m.began = time.Since(sw.start)
	if m.leave > 0 {
		time.AfterFunc(m.leave-m.began, cancel)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		sw.runForeign(ctx, p)
	}()
	select {
	case <-p.done:
		m.done = time.Since(sw.start)
	case <-ctx.Done():
	}
	sw.waiting.Done()
	if !m.leavesWhenDone {
		select {
		case <-sw.finished:
		case <-ctx.Done():
		}
	}
	cancel()
	<-gone
	m.stats = p.currentStats()
	m.left = time.Since(sw.start)
}

func (p *foreignPeer) currentStats() torrent.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// fastLink returns a link with these rates in Mbit/s; 0 is unlimited.
func fastLink(up, down int64) simnet.Link {
	return simnet.Link{Up: up * mbit, Down: down * mbit, Latency: 2 * time.Millisecond}
}

// membersRunning returns n members that run a program, with usual fast links.
func membersRunning(runs program, n int) []*member {
	all := membersWith(n, fastLink(40, 100))
	for _, m := range all {
		m.program = runs
	}
	return all
}

// mixedMembers returns n members that run each program, in turn.
func mixedMembers(n int) (all []*member) {
	for range n {
		for _, runs := range []program{"", libtorrent, transmission, aria2} {
			all = append(all, membersRunning(runs, 1)...)
		}
	}
	return all
}

// halfOurs returns n members, of which every second runs the other program.
func halfOurs(runs program, n int) (all []*member) {
	for range n / 2 {
		all = append(all, membersRunning("", 1)...)
		all = append(all, membersRunning(runs, 1)...)
	}
	return all
}

// foreignSwarm is a swarm with our seed as the origin, and the bars that hold for it.
type foreignSwarm struct {
	name    string
	size    int
	members func() []*member
	times   float64 // most that the duration may be, as a multiple of the lower bound
	copies  float64 // most copies that the origin may send
	piece   int     // the piece length; 0 means 16 KiB
}

// check plays the swarm with every random seed and checks its bars.
func (f foreignSwarm) check(t *testing.T) {
	t.Run(f.name, func(t *testing.T) {
		t.Parallel()
		eachSeed(t, func(t *testing.T, seed uint64) {
			sw := &swarm{size: f.size, piece: cmp.Or(f.piece, 16<<10), origin: fastLink(20, 100), members: f.members(), seed: seed}
			sw.run(t)
			if times, copies := sw.report(t); times > f.times || copies > f.copies {
				t.Errorf("took %.3f times the bound and %.3f copies, want at most %v and %v", times, copies, f.times, f.copies)
			}
		})
	})
}

// TestForeignPeers checks swarms of four peers that run another program.
func TestForeignPeers(t *testing.T) {
	for _, f := range []foreignSwarm{
		{"4 libtorrent", 16 << 20, func() []*member { return membersRunning(libtorrent, 4) }, 1.4, 1.4, 0},
		{"4 Transmission", 16 << 20, func() []*member { return membersRunning(transmission, 4) }, 6.5, 3.5, 0},
		{"4 aria2", 16 << 20, func() []*member { return membersRunning(aria2, 4) }, 1.7, 1.3, 0},
	} {
		f.check(t)
	}
}

// TestForeignCrowds checks larger swarms of peers that run another program.
func TestForeignCrowds(t *testing.T) {
	for _, f := range []foreignSwarm{
		{"4 libtorrent", 32 << 20, func() []*member { return membersRunning(libtorrent, 4) }, 1.3, 1.25, 0},
		{"8 libtorrent", 32 << 20, func() []*member { return membersRunning(libtorrent, 8) }, 1.3, 1.25, 0},
		{"16 libtorrent", 16 << 20, func() []*member { return membersRunning(libtorrent, 16) }, 1.3, 1.25, 0},
		{"4 Transmission", 32 << 20, func() []*member { return membersRunning(transmission, 4) }, 3.2, 2, 0},
		{"8 Transmission", 32 << 20, func() []*member { return membersRunning(transmission, 8) }, 3.2, 2.1, 0},
		{"16 Transmission", 32 << 20, func() []*member { return membersRunning(transmission, 16) }, 3.7, 2.2, 0},
		{"4 aria2", 32 << 20, func() []*member { return membersRunning(aria2, 4) }, 1.4, 1.2, 0},
		{"8 aria2", 32 << 20, func() []*member { return membersRunning(aria2, 8) }, 1.4, 1.2, 0},
		{"16 aria2", 32 << 20, func() []*member { return membersRunning(aria2, 16) }, 1.5, 1.25, 0},
		{"2 of each", 32 << 20, func() []*member { return mixedMembers(2) }, 1.7, 1.15, 0},
		{"4 of each", 32 << 20, func() []*member { return mixedMembers(4) }, 1.9, 1.2, 0},
		{"4 spate and 4 Transmission", 32 << 20, func() []*member { return halfOurs(transmission, 8) }, 1.9, 1.2, 64 << 10},
	} {
		f.check(t)
	}
}

// TestSameSeedSameForeignSwarm checks that swarms of other programs, and of those and ours,
// have equal results with the same random seed.
func TestSameSeedSameForeignSwarm(t *testing.T) {
	t.Run("others", func(t *testing.T) {
		checkSameSeedSame(t, func(seed uint64) *swarm {
			sw := &swarm{size: 2 << 20, piece: 32 << 10, origin: fastLink(20, 100), originRuns: libtorrent, seed: seed}
			for range 2 {
				sw.members = append(sw.members, membersRunning(libtorrent, 1)...)
				sw.members = append(sw.members, membersRunning(transmission, 1)...)
				sw.members = append(sw.members, membersRunning(aria2, 1)...)
			}
			sw.members[1].leave = 12 * time.Second
			sw.members[5].join = time.Second
			return sw
		})
	})
	t.Run("mixed", func(t *testing.T) {
		checkSameSeedSame(t, func(seed uint64) *swarm {
			return &swarm{size: 8 << 20, piece: 16 << 10, origin: fastLink(20, 100), members: mixedMembers(2), seed: seed}
		})
	})
}

// checkSameSeedSame plays a swarm three times, twice with the same random seed, and compares
// the results.
func checkSameSeedSame(t *testing.T, with func(seed uint64) *swarm) {
	t.Parallel()
	play := func(seed uint64) (all []string) {
		sw := with(seed)
		sw.run(t)
		for _, m := range sw.members {
			all = append(all, fmt.Sprint(m.done, m.left, m.stats.Downloaded, m.stats.Uploaded, m.stats.Wasted))
		}
		return append(all, fmt.Sprint(sw.originStats.Uploaded))
	}
	first := play(1)
	if second := play(1); !slices.Equal(first, second) {
		t.Errorf("the same seed gave\n%v\nand\n%v", first, second)
	}
	if other := play(2); slices.Equal(first, other) {
		t.Error("another seed gave the same")
	}
}
