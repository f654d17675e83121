package site

import (
	"syscall"
	"time"
)

// threadTime returns the time that this thread has had on a processor, which other
// load on the machine changes little.
func threadTime() time.Duration {
	const self = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(self, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
