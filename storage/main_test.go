package storage

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"spate/internal/killat"
)

func TestMain(m *testing.M) {
	if code, asked := killat.Main(); asked {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
