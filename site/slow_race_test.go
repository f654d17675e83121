//go:build race

package site

// slower is a factor for time limits, because the race detector makes programs slower.
const slower = 10
