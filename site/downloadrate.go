package site

import (
	"context"
	"net/http"
	"strconv"

	"spate/internal/ratelimit"
)

// perDownload is the rate in bytes per second that each direct download should get. A
// browser that uses the web seed requests whole pieces and gives up after a minute.
const perDownload = 64 << 10

// busyFor is the Retry-After of a refused download, in seconds.
const busyFor = 30

// budget limits the rate of all direct downloads, so that the rest of the uplink remains
// for the swarm, whose peers pass on the data.
type budget struct {
	limiter *ratelimit.Limiter // nil: no limit
	most    int                // maximum number of downloads at the same time
	uplink  SendLimit          // also limits one download; nil: no limit
}

// SendLimit limits the rate of one download. The limit may change at any time. Its methods
// are safe for concurrent use.
type SendLimit interface {
	// Batch returns how many bytes to send at a time.
	Batch() int
	// WaitLater returns when n bytes may be sent, or with the error of ctx.
	WaitLater(ctx context.Context, n int) error
	// GiveBack returns n bytes that WaitLater granted and that were not sent.
	GiveBack(n int)
}

// forRequest returns the budget of a download that also has the limit of the uplink.
func (b budget) forRequest(r *http.Request, uplink func(*http.Request) SendLimit) budget {
	if uplink != nil {
		b.uplink = uplink(r)
	}
	return b
}

// newBudget returns a budget of rate bytes per second for up to most downloads at the same
// time. The rate 0 is no limit.
func newBudget(rate int64, most int) budget {
	b := budget{most: most}
	if rate > 0 {
		b.limiter = ratelimit.New(rate)
		b.most = int(min(int64(most), max(1, rate/perDownload)))
	}
	return b
}

// step returns the maximum number of bytes that a download sends in one step.
func (b budget) step() int64 {
	n := b.limiter.Batch()
	if b.uplink != nil {
		n = min(n, b.uplink.Batch())
	}
	return int64(n)
}

// wait returns when n bytes may be sent. Suspect clients wait until the others have been
// served, because they may only be filling the buffers of many connections.
func (b budget) wait(ctx context.Context, n int64, suspect bool) error {
	wait := b.limiter.Wait
	if suspect {
		wait = b.limiter.WaitLater
	}
	if err := wait(ctx, int(n)); err != nil || b.uplink == nil {
		return err
	}
	return b.uplink.WaitLater(ctx, int(n))
}

// giveBack returns n bytes to the budget that wait has granted and that were not sent.
func (b budget) giveBack(n int64) {
	b.limiter.GiveBack(int(n))
	if b.uplink != nil {
		b.uplink.GiveBack(int(n))
	}
}

// busy answers that there is no free slot for the download.
func (s *Site) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(busyFor))
	s.fail(w, r, http.StatusServiceUnavailable, "Busy",
		"The site is sending as many direct downloads as the publisher's connection allows. Try again in a moment, or download by BitTorrent, which does not have to wait.")
}
