package units

import (
	"testing"
	"time"
)

// TestParseBytes checks the parser of sizes.
func TestParseBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"0", 0}, {"16384", 16384}, {"1k", 1000}, {"1K", 1000}, {"1kB", 1000}, {"256KiB", 256 << 10}, {"1Mi", 1 << 20},
		{"1.5M", 1500000}, {"2 GiB", 2 << 30}, {"1T", 1e12}, {"10b", 10}, {" 3m ", 3000000}, {".5k", 500},
		{"9223372036854775807", 1<<63 - 1},
	} {
		if got, err := ParseBytes(c.in); err != nil || got != c.want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "b", "k", "-1", "+1", "1e6", "0x10", "1,5", "1.2.3", "9223372036854775808", "99999999Ti", "1kk", "NaN", "inf", "1 k i", "1/s"} {
		if n, err := ParseBytes(in); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", in, n)
		}
	}
}

// TestParseRate checks the parser of rates.
func TestParseRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"500k/s": 500000, " 2M/s ": 2e6, "1Mi": 1 << 20, "0": 0} {
		if got, err := ParseRate(in); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "/s", "-1", "1/s/s", "1/h"} {
		if n, err := ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %d, want an error", in, n)
		}
	}
}

// TestFormat checks the formats of sizes and rates.
func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{Bytes(1500000000), "1.5 GB"}, {Bytes(999), "999 B"}, {Bytes(-1), "0 B"},
		{BinaryBytes(256 << 10), "256 KiB"}, {BinaryBytes(2 << 20), "2 MiB"}, {BinaryBytes(-1), "0 B"},
		{PieceLength(1 << 20), "1 MiB"}, {PieceLength(16 << 10), "16 KiB"}, {PieceLength(1<<20 + 16<<10), "1,064,960 bytes"}, {PieceLength(1), "1 byte"},
		{Rate(1.5e6), "1.5 MB/s"}, {Rate(0.9), "0 B/s"},
		{Count(1234567), "1,234,567"},
		{Plural(1, "file"), "1 file"}, {Plural(0, "file"), "0 files"}, {Plural(int64(2000), "byte"), "2,000 bytes"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestDurations checks the formats of durations.
func TestDurations(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		d                    time.Duration
		short, elapsed, long string
	}{
		{-time.Second, "0s", "0.0s", "0 s"},
		{3200 * time.Millisecond, "4s", "3.2s", "3 s"},
		{59 * time.Second, "59s", "59s", "59 s"},
		{time.Minute, "1m00s", "1m00s", "1 min 0 s"},
		{125 * time.Second, "2m05s", "2m05s", "2 min 5 s"},
		{3725 * time.Second, "1h02m", "1h02m", "1 h 2 min"},
		{47*time.Hour + 59*time.Minute, "1d23h", "1d23h", "47 h 59 min"},
		{2 * day, "2d00h", "2d00h", "2 days"},
		{100 * day, "100d00h", "100d00h", "100 days"},
		{100*day + 1, "> 100d", "> 100d", "100 days"},
	} {
		if got := Duration(c.d); got != c.short {
			t.Errorf("Duration(%v) = %q, want %q", c.d, got, c.short)
		}
		if got := Elapsed(c.d); got != c.elapsed {
			t.Errorf("Elapsed(%v) = %q, want %q", c.d, got, c.elapsed)
		}
		if got := LongDuration(c.d); got != c.long {
			t.Errorf("LongDuration(%v) = %q, want %q", c.d, got, c.long)
		}
	}
}

// TestCounts checks that nouns and verbs agree with their counts.
func TestCounts(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Plural(0, "file"): "0 files", Plural(1, "file"): "1 file", Plural(int64(2000), "file"): "2,000 files", Plural(2, "entry"): "2 entries", Plural(1, "entry"): "1 entry",
		Plural(2, "key"): "2 keys", Plural(3, "info-hash"): "3 info-hashes", Plural(2, "copy"): "2 copies", Plural(uint32(1), "box"): "1 box", Plural(2, "box"): "2 boxes",
		PartOf(1, 1, "piece"): "1 of 1 piece", PartOf(0, 2000, "piece"): "0 of 2,000 pieces", PartIs(0, 1, "piece", "is", "are"): "0 of 1 piece is",
		PartIs(1, 2, "piece", "is", "are"): "1 of 2 pieces are", Agree(1, "was", "were"): "was", Agree(0, "was", "were"): "were",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
