//go:build !race

package site

// slower is 1 without the race detector.
const slower = 1
