package trackerstats

import (
	"testing"

	"spate/internal/lang/langtest"
)

// TestMessages checks the translations of all texts of the page.
func TestMessages(t *testing.T) {
	t.Parallel()
	used := langtest.Used(t, nil)
	if len(used) < 50 {
		t.Fatalf("only %d messages were found", len(used))
	}
	langtest.Check(t, assets, used)
}
