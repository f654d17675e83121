package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"spate/internal/termsafe"
	"spate/internal/units"
)

// clean escapes text from outside so that it fits into one line of the screen.
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

// right is like fit but aligns the text to the right.
func right(s string, width int) string {
	n := ansi.StringWidth(s)
	if n >= width {
		return fit(s, width)
	}
	return strings.Repeat(" ", width-n) + s
}

// fitMiddle is like fit but cuts in the middle, because both ends of a path are
// informative.
func fitMiddle(s string, width int) string {
	n := ansi.StringWidth(s)
	if n <= width || width < 5 {
		return fit(s, width)
	}
	head := (width - 1) / 2
	return fit(ansi.Truncate(s, head, "")+"…"+ansi.TruncateLeft(s, n-(width-1-head), ""), width)
}

// rate formats a number of bytes per second. It returns a dot for less than one.
func rate(r float64) string {
	if r < 1 {
		return "·"
	}
	return units.Rate(r)
}

// percent formats a fraction. It rounds down, so that 100 % means complete.
func percent(f float64) string {
	if f >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.1f %%", float64(int(max(f, 0)*1000))/10)
}

// duration formats d in its two largest units. It returns a dot if d is negative.
func duration(d time.Duration) string {
	if d < 0 {
		return "·"
	}
	return units.Duration(d)
}

// bar draws a fraction as a bar of width columns, in steps of 1/8 column.
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

// sparkline draws the last values with the newest at the right. top is the largest of
// them.
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
