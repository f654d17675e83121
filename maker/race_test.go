//go:build race

package maker

const raceEnabled = true
