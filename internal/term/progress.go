package term

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"spate/internal/termsafe"
	"spate/internal/units"
)

// Progress shows the progress of a long operation: a bar on a terminal, otherwise a line for
// every 5 % or 30 s, and nothing if the terminal is quiet. It is safe for concurrent use. An
// update that shows nothing is cheap.
type Progress struct {
	t     *Terminal
	label string

	mu        sync.Mutex // guards the fields below
	began     time.Time
	drawn     time.Time
	step      int64 // last twentieth of the operation for which a line was written
	samples   []sample
	completed bool
}

// sample is the number of completed bytes at a time.
type sample struct {
	at   time.Time
	done int64
}

// Intervals and sizes of the display.
const (
	barEvery   = 100 * time.Millisecond
	lineEvery  = 30 * time.Second
	rateWindow = 5 * time.Second
	barWidth   = 24
)

// NewProgress returns a display with a label. It shows nothing before the first update.
func (t *Terminal) NewProgress(label string) *Progress {
	return &Progress{t: t, label: termsafe.Line(label), began: t.Now()}
}

// Update shows that done of total bytes are complete. It measures the rate.
func (p *Progress) Update(done, total int64) { p.UpdateWith(done, total, -1, "") }

// UpdateWith is like Update with a rate in bytes per second and a note such as "12 peers". If
// the rate is negative, UpdateWith measures it.
func (p *Progress) UpdateWith(done, total int64, rate float64, note string) {
	if p.t.Quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.completed {
		return
	}
	now := p.t.Now()
	if rate < 0 {
		rate = p.measure(now, done)
	}
	bar := p.t.console.tty != nil
	step := int64(0)
	if total > 0 {
		step = int64(float64(done) / float64(total) * 20)
	}
	switch {
	case bar && now.Sub(p.drawn) < barEvery && done < total:
		return
	case bar:
		p.t.console.setBar(p.barText(done, total, rate, note))
	case step > p.step, now.Sub(later(p.drawn, p.began)) >= lineEvery:
		p.step = step
		p.t.console.line(p.lineText(done, total, rate, note))
	default:
		return
	}
	p.drawn = now
}

// Finish removes the bar. Later updates show nothing.
func (p *Progress) Finish() {
	p.mu.Lock()
	p.completed = true
	p.mu.Unlock()
	p.t.console.clearBar()
}

// measure returns the rate over the last [rateWindow]. It keeps at most ten samples for
// each window.
func (p *Progress) measure(now time.Time, done int64) float64 {
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

func (p *Progress) barText(done, total int64, rate float64, note string) string {
	fill := 0
	if total > 0 {
		fill = int(float64(done) / float64(total) * barWidth)
	}
	bar := strings.Repeat("█", fill) + strings.Repeat("░", barWidth-fill)
	return fmt.Sprintf("%s %3d %% %s %s", p.label, percent(done, total), bar, p.tail(done, total, rate, note))
}

func (p *Progress) lineText(done, total int64, rate float64, note string) string {
	return fmt.Sprintf("%s: %d %%, %s", p.label, percent(done, total), p.tail(done, total, rate, note))
}

func (p *Progress) tail(done, total int64, rate float64, note string) string {
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

// percent returns the share in percent, rounded down so that 100 means complete.
func percent(done, total int64) int {
	if total <= 0 {
		return 100
	}
	return int(float64(done) / float64(total) * 100)
}
