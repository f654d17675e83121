package daemon

import (
	"os"
	"testing"

	"spate/internal/killpoint"
)

// TestMain lets tests kill this program at a chosen system call.
func TestMain(m *testing.M) {
	if code, asked := killpoint.Main(); asked {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
