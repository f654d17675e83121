//go:build !unix

package metainfo_test

import "time"

var started = time.Now()

// cpuTime returns the time since the start of the test, because this system has no CPU
// time.
func cpuTime() time.Duration { return time.Since(started) }
