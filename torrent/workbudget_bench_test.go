package torrent

import (
	"testing"
	"time"

	"spate/bitfield"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// BenchmarkWorkOfCancel measures a cancel message for a request that a full queue does not hold.
// It reports the time of one step of the workBudget.
func BenchmarkWorkOfCancel(b *testing.B) {
	c := &conn{t: &Torrent{}}
	for i := range maxUploadQueue {
		c.tx.uploads = append(c.tx.uploads, upload{piece: uint32(i), length: 16 << 10})
	}
	now := time.Now()
	for b.Loop() {
		c.work = workBudget{}
		c.canceledLocked(&peerwire.Message{ID: peerwire.Cancel, Index: maxUploadQueue, Length: 16 << 10}, now)
	}
	perStep(b, maxUploadQueue)
}

// BenchmarkWorkOfRevoking measures how the picker handles a seed that revokes one of a million
// pieces and gets it again. It reports the time of one step of the workBudget.
func BenchmarkWorkOfRevoking(b *testing.B) {
	const n = 1_000_000
	k, err := picker.New(picker.Config{NumPieces: n, PieceSize: func(int) int { return 16 << 10 }, MaxOpen: 4})
	if err != nil {
		b.Fatal(err)
	}
	const p = picker.PeerID(0)
	have := bitfield.New(n)
	have.SetAll()
	k.PeerJoined(p, have)
	for b.Loop() {
		k.PeerDontHave(p, 0)
		k.PeerHave(p, 0)
	}
	perStep(b, n)
}

func perStep(b *testing.B, steps int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(steps), "ns/step")
}
