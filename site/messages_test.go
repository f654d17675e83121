package site

import (
	"io/fs"
	"strings"
	"testing"

	"spate/internal/lang/langtest"
	"spate/publish"
	"spate/storage"
)

// TestMessages checks the translations of all texts of the pages, also of those that the pages pass to T
// by a variable.
func TestMessages(t *testing.T) {
	t.Parallel()
	used := langtest.Used(t, map[string][]int{"fail": {3, 4}})
	for _, text := range machines {
		if strings.Contains(text, " ") && !strings.HasPrefix(text, "IBM") { // the others are names
			used[text] = true
		}
	}
	for _, err := range []error{publish.ErrChanged, publish.ErrGone, storage.ErrMissing, fs.ErrPermission} {
		used[publish.State{Err: err}.Problem()] = true
	}
	if len(used) < 150 {
		t.Fatalf("only %d messages were found", len(used))
	}
	langtest.Check(t, messageFiles, used)
}
