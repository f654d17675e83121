package trackerstats

import (
	"testing"

	"spate/internal/lang"
)

// TestLabels checks the numbers in charts.
func TestLabels(t *testing.T) {
	languages, err := lang.Load(assets)
	if err != nil {
		t.Fatal(err)
	}
	english, german := languages.English(), languages.Find("de")
	for v, want := range map[float64]string{0: "0", 7: "7", 0.5: "0.5", 1234: "1,234", 123456: "123k", 2_500_000: "2.5M", 3e9: "3G"} {
		if got := count(english, v); got != want {
			t.Errorf("count(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0/s", 0.05: "3/min", 2.34: "2.3/s", 1500: "1,500/s"} {
		if got := perSecond(english, v); got != want {
			t.Errorf("perSecond(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.5: "0,5", 1234: "1.234", 2_500_000: "2,5M"} {
		if got := count(german, v); got != want {
			t.Errorf("count(%v) in German = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 1: 1, 3: 4, 11: 20, 95: 100, 0.3: 0.4} {
		if got := niceTop(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("niceTop(%v) = %v, want %v", v, got, want)
		}
	}
}
