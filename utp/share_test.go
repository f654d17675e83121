package utp

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const mbit = 1e6 / 8 // bytes a second

// tcpFlow is a bulk TCP flow that learns of each loss after a round trip. It sends each packet a
// little later at random, so that the losses hit all flows of a bottleneck. Its congestion control
// is Reno, or CUBIC (RFC 9438), which keeps more of the queue filled and is the default of Linux.
type tcpFlow struct {
	s        *sim
	cubic    bool
	most     float64 // CUBIC: the window in packets at the last loss
	lossAt   time.Duration
	friendly float64 // CUBIC: the window that Reno would have
	out      *link
	back     time.Duration
	window   float64 // packets
	slow     bool
	flight   int
	received int
	cutUntil time.Duration
}

const renoPacket = 1448 + 24

func (r *tcpFlow) send() {
	for float64(r.flight) < r.window {
		r.flight++
		r.s.after(time.Duration(r.s.rng.Int64N(int64(5*time.Millisecond))), r.sendNow)
	}
}

func (r *tcpFlow) sendNow() {
	began := r.s.now
	arrived := r.out.send(renoPacket, func() {
		r.received += renoPacket
		r.s.after(r.back, r.acked)
	})
	if !arrived {
		r.s.after(r.out.queue()+r.out.delay+r.back, func() { r.lost(began) })
	}
}

func (r *tcpFlow) acked() {
	r.flight--
	switch {
	case r.slow:
		r.window++
	case r.cubic:
		const c, kept = .4, .7
		rest := (r.s.now - r.lossAt).Seconds() - math.Cbrt(r.most*(1-kept)/c)
		r.friendly += 3 * (1 - kept) / (1 + kept) / r.window
		want := max(c*rest*rest*rest+r.most, r.friendly)
		r.window += min(max((want-r.window)/r.window, 0), .5)
	default:
		r.window += 1 / r.window
	}
	r.send()
}

func (r *tcpFlow) lost(sent time.Duration) {
	r.flight--
	if sent >= r.cutUntil {
		kept := .5
		if r.cubic {
			kept = .7
		}
		r.most, r.lossAt = r.window, r.s.now
		r.window, r.slow, r.cutUntil = max(r.window*kept, 2), false, r.s.now
		r.friendly = r.window
	}
	r.send()
}

// bottleneck is a link that several flows share.
type bottleneck struct {
	s    *sim
	link *link
	back time.Duration
}

func newBottleneck(seed uint64, rate float64, rtt, buffer time.Duration) *bottleneck {
	s := newSim(seed)
	return &bottleneck{s, &link{s: s, rate: rate, buffer: int(rate * buffer.Seconds()), delay: rtt / 2}, rtt / 2}
}

// utp adds a bulk uTP flow.
func (b *bottleneck) utp() (received *int) {
	a, _ := pair(b.s, b.link, &link{s: b.s, delay: b.back})
	return bulk(a)
}

// tcp adds a bulk TCP flow.
func (b *bottleneck) tcp(cubic bool) *tcpFlow {
	r := &tcpFlow{s: b.s, cubic: cubic, out: b.link, back: b.back, window: 10, slow: true}
	r.send()
	return r
}

// TestAloneFillsTheLink checks that one flow takes over 90 % of a link whose buffer is larger
// than the target.
func TestAloneFillsTheLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate        float64
		rtt, buffer time.Duration
	}{
		{1 * mbit, 50 * time.Millisecond, 200 * time.Millisecond},
		{4 * mbit, 10 * time.Millisecond, 300 * time.Millisecond},
		{4 * mbit, 150 * time.Millisecond, 200 * time.Millisecond},
	} {
		b := newBottleneck(1, c.rate, c.rtt, c.buffer)
		b.utp()
		b.s.run(5*time.Second, nil)
		before := b.link.carried
		b.s.run(25*time.Second, nil)
		used := float64(b.link.carried-before) / (c.rate * 25)
		t.Logf("%v Mbit/s, %v: %.3f", c.rate/mbit, c.rtt, used)
		if used < .9 {
			t.Errorf("one flow uses %.3f of a link of %v Mbit/s and %v", used, c.rate/mbit, c.rtt)
		}
	}
}

// TestYieldsToTCP checks that uTP takes little beside a bulk TCP flow, and no more than a fair
// share if the buffer is shorter than the target.
func TestYieldsToTCP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rtt, buffer time.Duration
		most        float64
	}{
		{20 * time.Millisecond, 200 * time.Millisecond, .15},
		{20 * time.Millisecond, 400 * time.Millisecond, .15},
		{100 * time.Millisecond, 200 * time.Millisecond, .15},
		{50 * time.Millisecond, 50 * time.Millisecond, .5},
		{1 * time.Millisecond, 200 * time.Millisecond, .15},
	} {
		for _, first := range []string{"TCP", "uTP", "CUBIC", "uTP before CUBIC"} {
			cubic := strings.HasSuffix(first, "CUBIC")
			b := newBottleneck(12, 5*mbit, c.rtt, c.buffer)
			var got *int
			var r *tcpFlow
			if !strings.HasPrefix(first, "uTP") {
				r = b.tcp(cubic)
				b.s.run(5*time.Second, nil)
				got = b.utp()
			} else {
				got = b.utp()
				b.s.run(5*time.Second, nil)
				r = b.tcp(cubic)
			}
			b.s.run(15*time.Second, nil)
			u, v := *got, r.received
			b.s.run(30*time.Second, nil)
			share := float64(*got-u) / float64(*got-u+r.received-v)
			t.Logf("%v, buffer %v, %s first: %.3f", c.rtt, c.buffer, first, share)
			if share > c.most {
				t.Errorf("uTP takes %.3f of a link of %v with a buffer of %v, %s first", share, c.rtt, c.buffer, first)
			}
		}
	}
}

// TestTenFlowsShare checks that ten flows share a link within a factor of 1.5 if they start
// together, and within a factor of 3 if each starts while the others already fill the queue.
func TestTenFlowsShare(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		rtt, buffer, apart time.Duration
		most               float64
	}{
		{1 * ms, 200 * ms, 0, 1.5},
		{40 * ms, 300 * ms, 0, 1.5},
		{40 * ms, 200 * ms, 300 * ms, 1.5},
		{10 * ms, 200 * ms, 100 * ms, 3},
		{1 * ms, 300 * ms, 300 * ms, 3},
	} {
		b := newBottleneck(3, 10*mbit, c.rtt, c.buffer)
		var flows []*int
		for range 10 {
			flows = append(flows, b.utp())
			if c.apart > 0 {
				b.s.run(c.apart, nil)
			}
		}
		if c.apart > 0 {
			b.s.run(20*time.Second, nil)
		}
		var got []int
		for _, f := range flows {
			got = append(got, -*f)
		}
		if c.apart == 0 {
			clear(got) // what they send from the start counts
		}
		b.s.run(30*time.Second, nil)
		for i, f := range flows {
			got[i] += *f
		}
		slices.Sort(got)
		ratio := float64(got[9]) / float64(got[0])
		t.Logf("%v, buffer %v, %v apart: ratio %.2f, %v", c.rtt, c.buffer, c.apart, ratio, got)
		if ratio > c.most {
			t.Errorf("flows that start %v apart share a link of %v and a buffer of %v within a factor of %.2f", c.apart, c.rtt, c.buffer, ratio)
		}
	}
}

// TestLatecomerGivesBack checks that a flow that begins while another fills the queue does not
// keep its advantage.
func TestLatecomerGivesBack(t *testing.T) {
	t.Parallel()
	b := newBottleneck(4, 5*mbit, 30*time.Millisecond, 600*time.Millisecond)
	first := b.utp()
	b.s.run(10*time.Second, nil)
	late := b.utp()
	b.s.run(25*time.Second, nil)
	x, y := *first, *late
	b.s.run(15*time.Second, nil)
	share := float64(*late-y) / float64(*late-y+*first-x)
	t.Logf("share %.3f, queue %v", share, b.link.queue())
	if share > .65 || b.link.queue() > 150*time.Millisecond {
		t.Errorf("the flow that began later has %.3f of the link, with a queue of %v", share, b.link.queue())
	}
}
