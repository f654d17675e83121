//go:build unix

package metainfo_test

import (
	"syscall"
	"time"
)

// cpuTime returns the time that the process has had on a processor, which other
// load on the machine changes little.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
