package maker

import (
	"sync"
	"sync/atomic"
	"time"
)

// Progress is the state of a run.
type Progress struct {
	Done, Total int64         // bytes of data; Total is 0 if it is unknown
	Elapsed     time.Duration // since hashing started
	Rate        float64       // in bytes per second, averaged over the last seconds
	Left        time.Duration // estimated remaining time; negative if it is unknown
}

// progressEvery is the time between two reports.
const progressEvery = 100 * time.Millisecond

// reporter reports the progress of a run.
type reporter struct {
	report func(Progress)
	done   *atomic.Int64
	total  int64
	began  time.Time
	last   time.Time
	before int64   // number of bytes at the time last
	rate   float64 // smoothed rate
}

// startReport starts a goroutine that calls report regularly with the progress in done.
// stop makes a last report and ends the goroutine.
func startReport(report func(Progress), done *atomic.Int64, total int64) (stop func()) {
	if report == nil {
		return func() {}
	}
	r := newReporter(report, done, total, time.Now())
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				r.report(r.next(now, r.done.Load()))
			case <-end:
				r.report(r.next(time.Now(), r.done.Load()))
				return
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

func newReporter(report func(Progress), done *atomic.Int64, total int64, now time.Time) *reporter {
	return &reporter{report: report, done: done, total: total, began: now, last: now}
}

// next returns the progress if done bytes were processed at the time now.
func (r *reporter) next(now time.Time, done int64) Progress {
	if r.total > 0 {
		done = min(done, r.total)
	}
	p := Progress{Done: done, Total: r.total, Elapsed: now.Sub(r.began), Left: -1}
	if d := now.Sub(r.last).Seconds(); d > 0 {
		rate := float64(done-r.before) / d
		// The weight of older rates halves in about two seconds.
		keep := 1 / (1 + d/2)
		if r.rate == 0 {
			keep = 0
		}
		r.rate = keep*r.rate + (1-keep)*rate
		r.last, r.before = now, done
	}
	p.Rate = r.rate
	if p.Rate > 0 && r.total > 0 {
		p.Left = time.Duration(float64(r.total-done) / p.Rate * float64(time.Second))
	}
	return p
}
