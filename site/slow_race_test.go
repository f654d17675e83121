//go:build race

package site

// slower is how much slower the race detector makes everything, and more.
const slower = 10
