package maker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// spins reports whether the device is a disk that has to seek. Disks of virtual
// machines call themselves that whatever they are: they are not believed.
func spins(dev uint64) bool {
	base := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev))
	real, err := filepath.EvalSymlinks(base)
	if err != nil || strings.Contains(real, "/virtio") || strings.Contains(real, "/vbd-") {
		return false
	}
	for _, p := range []string{"queue/rotational", "../queue/rotational"} { // a disk, a partition
		if b, err := os.ReadFile(filepath.Join(real, p)); err == nil {
			return strings.TrimSpace(string(b)) == "1"
		}
	}
	return false
}
