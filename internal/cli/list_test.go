package cli

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"spate/publish"
)

// TestReleaseTableFitsTheTerminal checks that no line is wider than the terminal, that both ends of a
// long name stay, and that nothing is cut if the output is no terminal.
func TestReleaseTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	r := publish.ReleaseInfo{Ref: "debian-live-13.1.0-amd64-standard~13.1.0~amd64", Live: publish.Live{State: publish.StateSeeding, Seeders: 12}}
	r.TotalLength, r.Completed, r.SeedBytes = 1_500_000_000, 1234, 22_000_000_000
	list := []publish.ReleaseInfo{r, {Ref: "中文名称中文名称中文名称中文名称中文.iso~1", Live: publish.Live{State: publish.StateChecking}}}
	for _, width := range []int{80, 100, 60} {
		for line := range strings.Lines(listTable(list, nil, width)) {
			if n := ansi.StringWidth(strings.TrimRight(line, "\n")); n > max(width, 62) {
				t.Errorf("in %d columns a line has %d:\n%s", width, n, line)
			}
		}
	}
	if got := listTable(list, nil, 80); !strings.Contains(got, "debian-l") || !strings.Contains(got, "~amd64  ") {
		t.Errorf("the name lost an end:\n%s", got)
	}
	for _, width := range []int{0, 200} {
		if got := listTable(list, nil, width); !strings.Contains(got, r.Ref+"  ") {
			t.Errorf("in %d columns, the name is cut:\n%s", width, got)
		}
	}
	if got := listTable(nil, nil, 80); got != "" {
		t.Errorf("without releases the table is %q", got)
	}
}
