package maker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rotational reports whether the device is a rotating disk, for which seeking is slow. It
// returns false for virtual disks, because they report the same value for all real disks.
func rotational(dev uint64) bool {
	base := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev))
	real, err := filepath.EvalSymlinks(base)
	if err != nil || strings.Contains(real, "/virtio") || strings.Contains(real, "/vbd-") {
		return false
	}
	for _, p := range []string{"queue/rotational", "../queue/rotational"} { // for a disk and for a partition
		if b, err := os.ReadFile(filepath.Join(real, p)); err == nil {
			return strings.TrimSpace(string(b)) == "1"
		}
	}
	return false
}
