package term

import (
	"bytes"
	"strings"
	"testing"
	"time"
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
