package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"spate/internal/units"
)

// progress tells how far a long run is: a bar on a terminal, else a line every
// 5 % or 30 s, and nothing with -q. Safe for concurrent use; an update that
// shows nothing costs next to nothing.
type progress struct {
	app   *app
	label string

	mu        sync.Mutex
	began     time.Time
	drawn     time.Time
	step      int64 // twentieths of the way told so far
	samples   []sample
	completed bool
}

type sample struct {
	at   time.Time
	done int64
}

// Shape of the display.
const (
	barEvery   = 100 * time.Millisecond
	lineEvery  = 30 * time.Second
	rateWindow = 5 * time.Second
	barWidth   = 24
)

// newProgress starts the display of a run. Nothing is shown before the first
// update.
func (a *app) newProgress(label string) *progress {
	now := a.env.Now()
	return &progress{app: a, label: escape(label), began: now}
}

// update shows that done of total bytes are ready. The rate and the time left
// follow from the updates.
func (p *progress) update(done, total int64) { p.updateWith(done, total, -1, "") }

// updateWith is update with a rate that the caller knows (bytes a second;
// negative: measured here) and a few words more, such as "12 peers".
func (p *progress) updateWith(done, total int64, rate float64, note string) {
	if p.app.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.completed {
		return
	}
	now := p.app.env.Now()
	if rate < 0 {
		rate = p.measure(now, done)
	}
	bar := p.app.console.tty != nil
	step := int64(0)
	if total > 0 {
		step = int64(float64(done) / float64(total) * 20)
	}
	switch {
	case bar && now.Sub(p.drawn) < barEvery && done < total:
		return
	case bar:
		p.app.console.setBar(p.barText(done, total, rate, note))
	case step > p.step, now.Sub(later(p.drawn, p.began)) >= lineEvery:
		p.step = step
		p.app.console.line(p.lineText(done, total, rate, note))
	default:
		return
	}
	p.drawn = now
}

// finish takes the bar away; later updates show nothing.
func (p *progress) finish() {
	p.mu.Lock()
	p.completed = true
	p.mu.Unlock()
	p.app.console.clearBar()
}

// measure returns the rate over the last seconds. The samples are thinned to
// ten a window.
func (p *progress) measure(now time.Time, done int64) float64 {
	n := len(p.samples)
	if n == 0 || now.Sub(p.samples[n-1].at) >= rateWindow/10 {
		p.samples = append(p.samples, sample{now, done})
	}
	for len(p.samples) > 2 && now.Sub(p.samples[0].at) > rateWindow {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if d := now.Sub(first.at).Seconds(); d > 0 {
		return float64(done-first.done) / d
	}
	return 0
}

func (p *progress) barText(done, total int64, rate float64, note string) string {
	fill := 0
	if total > 0 {
		fill = int(float64(done) / float64(total) * barWidth)
	}
	bar := strings.Repeat("█", fill) + strings.Repeat("░", barWidth-fill)
	return fmt.Sprintf("%s %3d %% %s %s", p.label, percent(done, total), bar, p.tail(done, total, rate, note))
}

func (p *progress) lineText(done, total int64, rate float64, note string) string {
	return fmt.Sprintf("%s: %d %%, %s", p.label, percent(done, total), p.tail(done, total, rate, note))
}

func (p *progress) tail(done, total int64, rate float64, note string) string {
	s := fmt.Sprintf("%s of %s", units.Bytes(done), units.Bytes(total))
	if rate >= 1 {
		s += ", " + units.Rate(rate)
		if done < total {
			s += ", " + units.Duration(time.Duration(float64(total-done)/rate*float64(time.Second))) + " left"
		}
	}
	if note != "" {
		s += ", " + note
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// percent rounds down, so that 100 means all.
func percent(done, total int64) int {
	if total <= 0 {
		return 100
	}
	return int(float64(done) / float64(total) * 100)
}
