//go:build !linux

package site

import "time"

// threadTime returns 0: only Linux tells what a thread has taken.
func threadTime() time.Duration { return 0 }
