//go:build !race

package maker

const raceEnabled = false
