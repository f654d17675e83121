package maker

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// spins reports whether the device is a disk that has to seek.
func spins(dev uint64) bool {
	base := fmt.Sprintf("/sys/dev/block/%d:%d/", unix.Major(dev), unix.Minor(dev))
	for _, p := range []string{"queue/rotational", "../queue/rotational"} { // a disk, a partition
		if b, err := os.ReadFile(base + p); err == nil {
			return strings.TrimSpace(string(b)) == "1"
		}
	}
	return false
}
