package site

import (
	"context"
	"net/http"
	"strconv"

	"spate/internal/ratelimit"
)

// perDownload is what each direct download of a budget should at least get, in
// bytes a second. A browser's web seed reads a piece by one request, and gives up
// after a minute.
const perDownload = 64 << 10

// busyFor is what Retry-After says, in seconds, where there is no room.
const busyFor = 30

// budget is what direct downloads may take of the uplink, so that they do not
// starve the swarm, which multiplies what it is sent.
type budget struct {
	limiter *ratelimit.Limiter // nil: no limit
	most    int                // downloads at once
}

// newBudget returns the budget of rate bytes a second, 0 for any, and at most
// most downloads at once.
func newBudget(rate int64, most int) budget {
	b := budget{most: most}
	if rate > 0 {
		b.limiter = ratelimit.New(rate)
		b.most = int(min(int64(most), max(1, rate/perDownload)))
	}
	return b
}

// step is the most bytes of a download that go out between two looks at the budget.
func (b budget) step() int64 {
	return int64(b.limiter.Batch())
}

// wait returns when n bytes may go out. Suspect readers come after the others: each of them
// may only fill the buffers of its connection, over and over.
func (b budget) wait(ctx context.Context, n int64, suspect bool) error {
	if suspect {
		return b.limiter.WaitLater(ctx, int(n))
	}
	return b.limiter.Wait(ctx, int(n))
}

// giveBack returns n bytes of what was waited for to the budget.
func (b budget) giveBack(n int64) { b.limiter.GiveBack(int(n)) }

// busy answers that there is no room for another download now.
func (s *Site) busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", strconv.Itoa(busyFor))
	s.fail(w, r, http.StatusServiceUnavailable, "Busy",
		"The site is sending as many direct downloads as the publisher's connection allows. Try again in a moment, or download by BitTorrent, which does not have to wait.")
}
