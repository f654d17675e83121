package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"

	"spate/internal/termsafe"
)

// clean makes text from outside fit for one line of the screen.
func clean(s string) string {
	const most = 4096
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return termsafe.Line(s)
}

// fit cuts or pads s to exactly width columns.
func fit(s string, width int) string {
	if width <= 0 {
		return ""
	}
	n := ansi.StringWidth(s)
	if n > width {
		s = ansi.Truncate(s, width, "…")
		n = ansi.StringWidth(s)
	}
	return s + strings.Repeat(" ", max(0, width-n))
}

// right is fit with the text at the right end.
func right(s string, width int) string {
	n := ansi.StringWidth(s)
	if n >= width {
		return fit(s, width)
	}
	return strings.Repeat(" ", width-n) + s
}

// fitMiddle cuts in the middle: both ends of a path tell.
func fitMiddle(s string, width int) string {
	n := ansi.StringWidth(s)
	if n <= width || width < 5 {
		return fit(s, width)
	}
	head := (width - 1) / 2
	return fit(ansi.Truncate(s, head, "")+"…"+ansi.TruncateLeft(s, n-(width-1-head), ""), width)
}

// size writes n in decimal units.
func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// rate writes bytes a second; nothing where there are none.
func rate(r float64) string {
	if r < 1 {
		return "·"
	}
	return size(int64(r)) + "/s"
}

// percent is rounded down, so that 100 means all.
func percent(f float64) string {
	if f >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.1f %%", float64(int(max(f, 0)*1000))/10)
}

// duration writes d in its two largest units; nothing when it is unknown.
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "·"
	case d > 100*24*time.Hour:
		return "> 100d"
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second)
}

// bar draws a fraction over width columns, in eighths.
func bar(f float64, width int) string {
	if width <= 0 {
		return ""
	}
	eighths := int(min(max(f, 0), 1) * float64(width) * 8)
	full := eighths / 8
	s := strings.Repeat("█", full)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		full++
	}
	return s + strings.Repeat("░", width-full)
}

// sparkline draws the last values, the newest at the right, so that top is the
// greatest of them.
func sparkline(values []float64, width int) (s string, top float64) {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	for _, v := range values {
		top = max(top, v)
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", max(0, width-len(values))))
	for _, v := range values {
		switch {
		case v < 1:
			b.WriteRune('▁')
		default:
			b.WriteRune(steps[min(len(steps)-1, int(v/top*float64(len(steps))))])
		}
	}
	return b.String(), top
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
