package lang

import (
	"fmt"
	"html"
	"html/template"
	"reflect"
	"strings"
	"time"

	"spate/internal/units"
)

// T returns the message with the English text key in the language, with args in the placeholders. If it
// has no translation, T uses key.
func (l *Language) T(key string, args ...any) string { return l.printer.Sprintf(key, args...) }

// HTML is [Language.T] for HTML. It escapes all args except numbers and [template.HTML].
func (l *Language) HTML(key string, args ...any) template.HTML {
	safe := make([]any, len(args))
	for i, a := range args {
		_, markup := a.(template.HTML)
		switch v := reflect.ValueOf(a); {
		case markup || (v.CanInt() || v.CanUint() || v.CanFloat()) && v.NumMethod() == 0:
			safe[i] = a
		default:
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	return template.HTML(l.printer.Sprintf(key, safe...))
}

// Number replaces the decimal point in a text that package units has made.
func (l *Language) Number(text string) string { return strings.Replace(text, ".", l.decimal, 1) }

// Count formats a whole number with the separators of the language: "12,345".
func (l *Language) Count(n int64) string { return l.T("%d", n) }

// Bytes formats a number of bytes: "1.5 GB".
func (l *Language) Bytes(n int64) string { return l.Number(units.Bytes(n)) }

// Rate formats a number of bytes per second: "1.5 MB/s".
func (l *Language) Rate(bytesPerSecond float64) string { return l.Number(units.Rate(bytesPerSecond)) }

// PieceLength formats the length of a piece: "1 MiB".
func (l *Language) PieceLength(n int64) string {
	text := units.PieceLength(n)
	if strings.HasSuffix(text, " bytes") {
		return l.T("%d bytes", n)
	}
	return l.Number(text)
}

// Duration formats d for running text, as [units.LongDuration] does.
func (l *Language) Duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return l.T("%d s", int(d/time.Second))
	case d < time.Hour:
		return l.T("%d min %d s", int(d/time.Minute), int(d%time.Minute/time.Second))
	case d < 48*time.Hour:
		return l.T("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return l.T("%d days", int(d/(24*time.Hour)))
}

// Date formats the day of t in UTC: "2 January 2006".
func (l *Language) Date(t time.Time) string {
	t = t.UTC()
	return l.T("date: day %s, month %s, year %s", t.Format("2"), l.T(t.Month().String()), t.Format("2006"))
}

// DayMonth formats the day of t in UTC without the year: "2 January".
func (l *Language) DayMonth(t time.Time) string {
	t = t.UTC()
	return l.T("date: day %s, month %s", t.Format("2"), l.T(t.Month().String()))
}

// Clock formats the minute of t in UTC: "2 January 2006, 15:04 UTC".
func (l *Language) Clock(t time.Time) string {
	return l.T("%s, %s UTC", l.Date(t), t.UTC().Format("15:04"))
}
