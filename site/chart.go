package site

import (
	"fmt"
	"strconv"
	"time"

	"spate/internal/units"
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
func charts(h publish.History, size int64, files int, now time.Time) []chart {
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
	whole := func(v float64) string { return units.Count(int64(v)) }
	tenths := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	return []chart{
		draw("Downloads", "downloads", first, got[:], whole),
		draw("Copies sent by the publisher", "copies", first, sent[:], tenths),
	}
}

// draw returns the columns of values, one for each day from first on.
func draw(title, unit string, first time.Time, values []float64, say func(float64) string) chart {
	var sum, most float64
	day := 0
	for i, v := range values {
		sum += v
		if v > most {
			most, day = v, i
		}
	}
	c := chart{Title: title, Peak: say(most), From: first}
	c.Summary = fmt.Sprintf("%s: %s %s in %s", title, say(sum), unit, units.Plural(len(values), "day"))
	if most > 0 {
		c.Summary += fmt.Sprintf(", at most %s on %s", say(most), first.AddDate(0, 0, day).Format("2 January"))
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
