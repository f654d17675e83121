package term

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// TestProgressLines checks the progress without a terminal: a line for every 5 %, and after 30
// seconds without a line.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	a := New(Options{Stderr: &out, Now: func() time.Time { return now }})
	p := a.NewProgress("hashing")
	for done := int64(0); done <= 1000; done++ {
		now = now.Add(10 * time.Millisecond)
		p.Update(done, 1000)
	}
	p.Finish()
	p.Update(1, 2)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 20 || !strings.HasPrefix(lines[0], "hashing: 5 %") || !strings.HasPrefix(lines[19], "hashing: 100 %") {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
	out.Reset()
	p = a.NewProgress("waiting")
	for range 65 {
		now = now.Add(time.Second)
		p.Update(0, 1000)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines in 65 quiet seconds:\n%s", n, out.String())
	}
	out.Reset()
	a.Quiet = true
	a.NewProgress("quiet").Update(1, 1)
	if out.Len() > 0 {
		t.Errorf("-q shows %q", out.String())
	}
}

// TestBarFits checks that the bar fits into narrow terminals, and that the rate, the time left and
// the number of peers stay.
func TestBarFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"debian.iso", 100, "debian.iso  50 % ████████████░░░░░░░░░░░░ 500 MB of 1.0 GB, 12 MB/s, 42s left, 12 peers"},
		{"Game-1.0-amd64-installer-full-edition.iso", 79, "Game-1.0…ition.iso  50 % ████░░░░ 500 MB of 1.0 GB, 12 MB/s, 42s left, 12 peers"},
		{"Game-1.0-amd64-installer-full-edition.iso", 59, "Game-1.…tion.iso  50 % ████░░░░ 12 MB/s, 42s left, 12 peers"},
		{"Game-1.0-amd64-installer-full-edition.iso", 45, "Game-…n.iso  50 % 12 MB/s, 42s left, 12 peers"},
		{"Game-1.0-amd64-installer-full-edition.iso", 35, "50 % 12 MB/s, 42s left, 12 peers"},
		{"砂の女", 79, "砂の女  50 % ██████████░░░░░░░░░░ 500 MB of 1.0 GB, 12 MB/s, 42s left, 12 peers"},
	} {
		p := New(Options{Now: time.Now}).NewProgress(c.name)
		got := p.barText(5e8, 1e9, 12e6, "12 peers", c.width)
		if got != c.want || ansi.StringWidth(got) > c.width {
			t.Errorf("in %d columns, %d are used:\n%s\nwant\n%s", c.width, ansi.StringWidth(got), got, c.want)
		}
	}
}
