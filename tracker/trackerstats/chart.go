package trackerstats

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"spate/internal/lang"
)

// chart is a chart of numbers over time: the paths of an SVG image with chartW by
// chartH units, which the page stretches to the width available. The labels are text of
// the page, so that they are not stretched.
type chart struct {
	Title, Note string
	Now         string   // the last value
	Top, Half   string   // labels of the vertical axis
	From, To    string   // labels of the horizontal axis
	Areas       []area   // drawn in this order; empty without two points, or if all values are zero
	Legend      []legend // one entry for each area
}

// area is the area between two lines of a chart. Fill and Line are attributes d="...".
type area struct {
	Class string
	Fill  template.HTMLAttr
	Line  template.HTMLAttr
}

// legend describes an area. Value is the last value, or "" if it is zero.
type legend struct{ Class, Name, Value string }

const (
	chartW = 600
	chartH = 120
)

// layer is one area of a chart. Layers are stacked, the first at the bottom.
type layer struct {
	class, name string
	value       func(*Point) float64
}

// newChart draws layers over points, without layers that are zero all the time. unit formats the values.
func newChart(lng *lang.Language, title, note string, past []Point, unit func(float64) string, layers ...layer) chart {
	c := chart{Title: title, Note: note}
	layers = slices.DeleteFunc(layers, func(l layer) bool {
		return !slices.ContainsFunc(past, func(p Point) bool { return l.value(&p) > 0 })
	})
	if len(past) < 2 || len(layers) == 0 {
		return c
	}
	sums := make([]float64, len(past))
	below := make([]float64, len(past))
	top := 0.0
	for i := range past {
		for _, l := range layers {
			sums[i] += l.value(&past[i])
		}
		top = math.Max(top, sums[i])
	}
	top = niceTop(top)
	first, last := past[0].Time, past[len(past)-1].Time
	x := func(i int) float64 {
		return chartW * past[i].Time.Sub(first).Seconds() / math.Max(last.Sub(first).Seconds(), 1)
	}
	y := func(v float64) float64 { return chartH - (chartH-2)*v/top }
	for _, l := range layers {
		var line, back strings.Builder
		for i := range past {
			v := below[i] + l.value(&past[i])
			fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], x(i), y(v))
		}
		for i := len(past) - 1; i >= 0; i-- {
			fmt.Fprintf(&back, "L%.1f %.1f", x(i), y(below[i]))
			below[i] += l.value(&past[i])
		}
		// The attributes contain only numbers, so they need no escaping.
		c.Areas = append(c.Areas, area{
			Class: l.class, Line: template.HTMLAttr(`d="` + line.String() + `"`),
			Fill: template.HTMLAttr(`d="` + line.String() + back.String() + `Z"`),
		})
		entry := legend{Class: l.class, Name: l.name}
		if now := l.value(&past[len(past)-1]); now > 0 {
			entry.Value = unit(now)
		}
		c.Legend = append(c.Legend, entry)
	}
	c.Now = unit(sums[len(sums)-1])
	c.Top, c.Half = unit(top), unit(top/2)
	c.From, c.To = clock(lng, first, last), last.UTC().Format("15:04")
	return c
}

// smooth replaces the counts of each point by the sums over the last n points, so that
// rare events are visible as a line.
func smooth(past []Point, n int) []Point {
	out := make([]Point, len(past))
	for i := range past {
		out[i] = past[i]
		for _, p := range past[max(i-n+1, 0):i] {
			out[i].Seconds += p.Seconds
			out[i].HTTP += p.HTTP
			out[i].UDP += p.UDP
			out[i].WebSocket += p.WebSocket
			out[i].Completed += p.Completed
			out[i].Refused += p.Refused
		}
	}
	return out
}

// niceTop returns the end of an axis for values up to v: a round number whose half is
// round too.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 6, 8} {
		if v <= m*p {
			return m * p
		}
	}
	return 10 * p
}

// clock formats the time of the first point of a chart. It includes the day if the
// chart is about a day long or longer.
func clock(l *lang.Language, first, last time.Time) string {
	at := first.UTC().Format("15:04")
	if last.Sub(first) > 23*time.Hour {
		return l.T("%s, %s", l.DayMonth(first), at)
	}
	return at
}

// count formats a number: 1,234, or 1.2M if it is large.
func count(l *lang.Language, v float64) string {
	switch {
	case v != math.Trunc(v) && v < 100:
		return l.Number(humanize.FtoaWithDigits(v, 1))
	case v < 100_000:
		return l.Count(int64(math.Round(v)))
	case v < 999_500:
		return humanize.FtoaWithDigits(v/1e3, 0) + "k"
	case v < 999.5e6:
		return l.Number(humanize.FtoaWithDigits(v/1e6, 1)) + "M"
	}
	return l.Number(humanize.FtoaWithDigits(v/1e9, 1)) + "G"
}

// perSecond formats a rate, as a number per minute if it is small.
func perSecond(l *lang.Language, v float64) string {
	if v > 0 && v < 0.095 {
		return l.T("%s/min", l.Number(humanize.FtoaWithDigits(v*60, 1)))
	}
	return l.T("%s/s", count(l, math.Round(v*10)/10))
}
