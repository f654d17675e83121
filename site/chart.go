package site

import (
	"strconv"
	"time"

	"spate/internal/lang"
	"spate/publish"
)

// chartDays is the number of days in a chart.
const chartDays = 30

// chart is a bar chart with a column for each day.
type chart struct {
	Title   string
	Summary string // description in words
	Columns []column
	Peak    string // value of the highest column
	From    time.Time
}

// column is the column of a day. It fills a part of a box that is 10 wide and 60 high.
type column struct{ X, Y, H float64 }

const chartHeight = 60

// charts returns the charts of a release: downloads, and copies that the publisher sent. It
// leaves out a chart without data.
func charts(l *lang.Language, h publish.History, size int64, files int, now time.Time) []chart {
	if len(h.Days) == 0 || size <= 0 {
		return nil
	}
	first := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-chartDays)
	var got, sent [chartDays]float64
	for _, d := range h.Days {
		day, err := time.Parse(time.DateOnly, d.Date)
		if i := int(day.Sub(first).Hours() / 24); err == nil && !day.Before(first) && i < chartDays {
			got[i] = float64(d.Delivery(size, files).Finished)
			sent[i] = float64(d.OriginBytes()) / float64(size)
		}
	}
	number := func(v float64) string { return l.T("%d", int64(v)) }
	tenths := func(v float64) string { return l.Number(strconv.FormatFloat(v, 'f', 1, 64)) }
	return []chart{
		draw(l, l.T("Downloads"), first, got[:], number, func(sum float64) string { return l.T("%d downloads", int64(sum)) }),
		draw(l, l.T("Copies sent by the publisher"), first, sent[:], tenths, func(sum float64) string { return l.T("%s copies", tenths(sum)) }),
	}
}

// draw returns the columns of values, one for each day from first on. say formats a
// value, and all the sum of the values.
func draw(l *lang.Language, title string, first time.Time, values []float64, say, all func(float64) string) chart {
	var sum, most float64
	day := 0
	for i, v := range values {
		sum += v
		if v > most {
			most, day = v, i
		}
	}
	c := chart{Title: title, Peak: say(most), From: first}
	c.Summary = l.T("%s: %s in %s", title, all(sum), l.T("%d days", len(values)))
	if most > 0 {
		c.Summary = l.T("%s, at most %s on %s", c.Summary, say(most), l.DayMonth(first.AddDate(0, 0, day)))
	}
	for i, v := range values {
		if v <= 0 {
			continue
		}
		h := max(2, float64(int(v/most*(chartHeight-4)*10))/10)
		c.Columns = append(c.Columns, column{X: float64(i * 10), Y: chartHeight - h, H: h})
	}
	return c
}
