package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"spate/internal/doctor"
)

// TestChecksLogOnce checks that a finding is logged when it is new, and again only after it was gone.
func TestChecksLogOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var c checks
	full := doctor.Finding{Check: "disk", Subject: "/s", Level: doctor.Fail, Text: "full: 7 bytes", Advice: "free some"}
	logged := func(f ...doctor.Finding) int {
		out.Reset()
		c.record(&doctor.Report{Findings: f}, log)
		return strings.Count(out.String(), "a check found a problem")
	}
	if n := logged(full, doctor.Finding{Check: "clock", Level: doctor.OK}); n != 1 {
		t.Errorf("a new finding was logged %d times", n)
	}
	full.Text = "full: 6 bytes"
	if n := logged(full); n != 0 {
		t.Errorf("the same finding was logged again %d times", n)
	}
	if n := logged(); n != 0 {
		t.Errorf("no finding was logged %d times", n)
	}
	if n := logged(full); n != 1 {
		t.Errorf("a finding that was gone and is back was logged %d times", n)
	}
}
