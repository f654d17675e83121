package choker

import (
	"math"
	"time"
)

// Bounds of Probes.
const (
	probeHalf  = 10 * time.Second // half-life of the bytes that are counted
	probeShare = 9                // peers that have proved nothing may get a ninth of what the others get: a tenth of all
	fewProbes  = 2                // pieces that such peers may always get
)

// Probes limits what a seed sends to peers that have not proved that they use it, while peers that
// have proved it want data. A peer proves it when it announces a piece after it was sent one. What
// such a peer was sent no longer counts then. So a crowd of new and honest peers is hardly
// limited, and peers that take data and do nothing with it get about a tenth of the line.
//
// A Probes is a plain data structure like a [Choker]. Use [NewProbes].
type Probes struct {
	length int64     // of a piece
	at     time.Time // of useful and spent
	useful float64   // bytes sent to peers that have proved it
	spent  float64   // bytes sent to peers that have not
}

// NewProbes returns a Probes for pieces of length bytes.
func NewProbes(length int64) *Probes { return &Probes{length: length} }

// decay halves the counts with every probeHalf.
func (p *Probes) decay(now time.Time) {
	if d := now.Sub(p.at); d > 0 && !p.at.IsZero() {
		f := math.Exp2(-float64(d) / float64(probeHalf))
		p.useful, p.spent = p.useful*f, p.spent*f
	}
	p.at = now
}

// Sent records that n bytes were sent to a peer while peers that have proved that they use data
// want some. proved says whether the peer is one of them.
func (p *Probes) Sent(n int64, proved bool, now time.Time) {
	p.decay(now)
	if proved {
		p.useful += float64(n)
	} else {
		p.spent += float64(n)
	}
}

// Proved records that a peer has proved that it uses data. n of the bytes that Sent was told of
// were sent to it.
func (p *Probes) Proved(n int64, now time.Time) {
	p.decay(now)
	moved := min(float64(n), p.spent)
	p.spent -= moved
	p.useful += moved
}

// Allows reports whether one more piece may be sent to a peer that has proved nothing. expected is
// the number of bytes that other such peers will probably get.
func (p *Probes) Allows(expected int64, now time.Time) bool {
	p.decay(now)
	return p.spent+float64(expected+p.length) <= float64(fewProbes*p.length)+p.useful/probeShare
}
