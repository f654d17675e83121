// Package units formats and parses sizes, rates, counts and durations for people.
package units

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Bytes formats a number of bytes in decimal units: "1.5 GB". A negative number counts
// as 0.
func Bytes(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// BinaryBytes formats a number of bytes in binary units: "256 KiB". It rounds to two
// digits. A negative number counts as 0.
func BinaryBytes(n int64) string {
	return strings.Replace(humanize.IBytes(uint64(max(n, 0))), ".0 ", " ", 1)
}

// PieceLength formats a piece length without rounding: "1 MiB", or "20,480 bytes" if
// no binary unit fits.
func PieceLength(n int64) string {
	if n%(1<<20) == 0 || n%(1<<10) == 0 && n < 1<<20 {
		return BinaryBytes(n)
	}
	return Plural(n, "byte")
}

// Rate formats a number of bytes per second: "1.5 MB/s". It rounds down to whole bytes.
func Rate(bytesPerSecond float64) string { return Bytes(int64(bytesPerSecond)) + "/s" }

// Count formats a whole number with a comma after every three digits: "12,345".
func Count(n int64) string { return humanize.Comma(n) }

// Integer is a type of counts.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Plural formats a count and its noun: "1 file", "2,000 files", "0 entries".
func Plural[N Integer](n N, noun string) string {
	return Count(int64(n)) + " " + Agree(n, noun, plural(noun))
}

// plural returns the regular plural of a noun.
func plural(noun string) string {
	stem, y := strings.CutSuffix(noun, "y")
	switch {
	case y && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou"):
		return stem + "ies"
	case strings.HasSuffix(noun, "sh"), strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"):
		return noun + "es"
	}
	return noun + "s"
}

// PartOf formats a part of a count: "1 of 2,000 files", "0 of 1 file".
func PartOf[N Integer](part, total N, noun string) string {
	return Count(int64(part)) + " of " + Plural(total, noun)
}

// PartIs is like [PartOf] with a verb, which agrees with the noun: "1 of 3 files are", "0 of 1 file
// is".
func PartIs[N Integer](part, total N, noun, one, many string) string {
	return PartOf(part, total, noun) + " " + Agree(total, one, many)
}

// Agree returns one if n is 1, and many otherwise, such as "is" or "are".
func Agree[N Integer](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Duration formats d in its two largest units: "45s", "2m05s", "3h20m", "4d06h". It
// rounds seconds up, counts a negative duration as 0, and formats everything over 100
// days as "> 100d".
func Duration(d time.Duration) string {
	d = max(d, 0)
	switch {
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

// Elapsed is like [Duration] but formats times below ten seconds with one decimal:
// "3.2s".
func Elapsed(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
	}
	return Duration(d)
}

// LongDuration formats d for running text, in its two largest units: "45 s",
// "2 min 5 s", "3 h 20 min". It formats 48 hours and more in whole days: "4 days". A
// negative duration counts as 0.
func LongDuration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
