package storage

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"spate/internal/killpoint"
)

func TestMain(m *testing.M) {
	if code, asked := killpoint.Main(); asked {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
