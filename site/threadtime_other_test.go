//go:build !linux

package site

import "time"

// threadTime returns 0, because the processor time of a thread is known only on Linux.
func threadTime() time.Duration { return 0 }
