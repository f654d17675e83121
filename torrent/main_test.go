package torrent

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for an event that normally takes milliseconds.
// It detects hangs only, so that tests pass on a busy machine.
const patience = 5 * time.Minute

// TestMain checks that the tests leave no goroutines behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
