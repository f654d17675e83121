package term

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

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
		p.t.console.setBar(p.barText(done, total, rate, note, p.t.console.width()-1))
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

// barText returns the bar in at most width columns. If they do not suffice for everything, the
// name and the bar become shorter first, and then the bar, the amounts and the name are left out,
// because the rate, the time left and the note matter most.
func (p *Progress) barText(done, total int64, rate float64, note string, width int) string {
	share := fmt.Sprintf("%3d %%", percent(done, total))
	amounts, rest := amountsOf(done, total), rateAndNote(done, total, rate, note)
	room := func(tail string) int { return width - ansi.StringWidth(share) - ansi.StringWidth(tail) - 3 } // for the name and the bar
	for _, tail := range []string{joinParts(amounts, rest), rest} {
		n := room(tail)
		name := min(ansi.StringWidth(p.label), n-barWidth)
		if name < min(ansi.StringWidth(p.label), shortName) {
			name = min(ansi.StringWidth(p.label), max(shortName, n-barWidth/3))
		}
		if size := min(barWidth, n-name); size >= barWidth/3 {
			return ClipMiddle(p.label, name) + " " + share + " " + barOf(done, total, size) + " " + tail
		}
	}
	name := room(rest) + 1 // there is no bar
	if name < shortName/2 {
		return strings.TrimLeft(share, " ") + " " + rest
	}
	return ClipMiddle(p.label, name) + " " + share + " " + rest
}

// shortName is the width to which a name is cut before other parts of the bar are left out.
const shortName = 16

func barOf(done, total int64, width int) string {
	fill := 0
	if total > 0 {
		fill = min(width, int(float64(done)/float64(total)*float64(width)))
	}
	return strings.Repeat("█", fill) + strings.Repeat("░", width-fill)
}

// ClipMiddle cuts s in the middle to at most width columns, because both ends of a name tell it
// from others.
func ClipMiddle(s string, width int) string {
	n := ansi.StringWidth(s)
	if n <= width {
		return s
	}
	head := (width - 1) / 2
	cut := n - (width - 1 - head)
	tail := ansi.TruncateLeft(s, cut, "")
	for ansi.StringWidth(tail) > width-1-head { // a character of two columns begins before the cut
		cut++
		tail = ansi.TruncateLeft(s, cut, "")
	}
	return ansi.Truncate(s, head, "") + "…" + tail
}

func (p *Progress) lineText(done, total int64, rate float64, note string) string {
	return fmt.Sprintf("%s: %d %%, %s", p.label, percent(done, total), p.tail(done, total, rate, note))
}

func (p *Progress) tail(done, total int64, rate float64, note string) string {
	return joinParts(amountsOf(done, total), rateAndNote(done, total, rate, note))
}

func amountsOf(done, total int64) string {
	return fmt.Sprintf("%s of %s", units.Bytes(done), units.Bytes(total))
}

// rateAndNote returns the rate, the time left and the note.
func rateAndNote(done, total int64, rate float64, note string) string {
	s := ""
	if rate >= 1 {
		s = units.Rate(rate)
		if done < total {
			s += ", " + units.Duration(time.Duration(float64(total-done)/rate*float64(time.Second))) + " left"
		}
	}
	return joinParts(s, note)
}

// joinParts joins two parts of a line; one that is empty is left out.
func joinParts(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
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
