//go:build !race

package torrent_test

const raceEnabled = false
