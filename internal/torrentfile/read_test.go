package torrentfile

import (
	"io"
	"strings"
	"testing"
)

// TestReadRefusesLargeFiles checks the error for a .torrent above the maximum size.
func TestReadRefusesLargeFiles(t *testing.T) {
	t.Parallel()
	long := io.MultiReader(strings.NewReader("d4:info400000000:"), io.LimitReader(zeros{}, MaxSize))
	if _, err := Read(long, "x"); err == nil || !strings.Contains(err.Error(), "x is larger than the 256 MB") {
		t.Errorf("the error is %v", err)
	}
}

// zeros is an endless input of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
