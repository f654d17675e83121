package torrent

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what should take a moment. It finds what
// hangs, on a machine that is busy with other things too.
const patience = 5 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
