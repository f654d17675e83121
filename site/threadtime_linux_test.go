package site

import (
	"syscall"
	"time"
)

// threadTime returns the processor time of this thread, which depends little on other load of
// the machine.
func threadTime() time.Duration {
	const self = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(self, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
