//go:build !unix

package metainfo_test

import "time"

var started = time.Now()

// cpuTime returns a clock: only differences count.
func cpuTime() time.Duration { return time.Since(started) }
