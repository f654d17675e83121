package torrent

import (
	"errors"
	"time"

	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/picker"
)

// Intervals of the jobs that tick starts.
const (
	chokeEvery      = 10 * time.Second
	resumeEvery     = 20 * time.Second
	checkFilesEvery = 5 * time.Second
	checkIdleEvery  = 30 * time.Second // like checkFilesEvery, while no peer is connected
	checkFilesShare = 20               // the check takes at most this fraction of the time: a twentieth
	retryEvery      = 10 * time.Second
)

// tick is called about once a second and does everything that depends on the time.
func (t *Torrent) tick(now time.Time) {
	t.mu.Lock()
	t.rates.up.update(now, t.count.uploaded.Load())
	if n := t.count.downloaded.Load(); n != t.rates.downBytes {
		t.rates.received, t.rates.downBytes = now, n
	}
	t.rates.down.update(now, t.count.downloaded.Load())
	running := t.status.state == StateDownloading || t.status.state == StateSeeding
	t.tickSuperSeedLocked(now)
	t.adjustPatienceLocked(now)
	t.tickParkedLocked(now)
	t.tickHolesLocked(now)
	t.tickRangesLocked(now)
	free, wanted := false, false
	for _, c := range t.peerConns.byID {
		if c != nil {
			wanted = wanted || c.wire.amInterested
			c.tickLocked(now)
			free = c.updateIdleLocked(now) || free
		}
	}
	if free {
		t.fillSlotsLocked(now)
	}
	t.tryMoreSoonLocked()
	t.addSpareSlotsLocked(now)
	t.addFastSlotsLocked(now)
	if running && t.peerConns.n > 0 && now.Sub(t.slots.decidedAt) >= chokeEvery {
		t.rechokeLocked(now)
	}
	t.relieveReadersLocked(now)
	need, hurry := t.hurryLocked(now, wanted)
	save := t.disk.dirty && t.dormancy.record == nil && running && now.Sub(t.disk.saved) >= resumeEvery
	_, detects := storage.As[storage.ChangeDetector](t.data.store)
	every := checkFilesEvery
	if t.peerConns.n == 0 && t.status.state != StateDownloading {
		every = checkIdleEvery
	}
	every = max(every, checkFilesShare*t.disk.checkTook) // a torrent of a million files takes seconds
	check := running && detects && now.Sub(t.disk.filesChecked) >= every
	retry := t.status.state == StateFailed && now.Sub(t.status.failedAt) >= retryEvery && !errors.Is(t.status.err, ErrHybridMismatch)
	t.mu.Unlock()

	t.tickWebSeeds(now)
	if hurry {
		t.s.announcer.Hurry(t.swarms(), need)
	}
	if running {
		t.dialMore(now)
	}
	if save {
		t.background(&t.jobs.saving, func() { t.saveResume(false) })
	}
	if check {
		t.background(&t.jobs.checkingFiles, t.checkFiles)
	}
	if retry {
		t.background(&t.jobs.retrying, t.retry)
	}
}

func (c *conn) tickLocked(now time.Time) {
	c.req.meter.update(now, c.received.Load())
	c.tx.meter.update(now, c.sent.Load())
	c.req.pipe.adjust(c.req.meter.rate)
	c.meterBusyLocked()
	c.checkSnubbedLocked(now)
	c.refillLocked(now)
	c.tellPEXLocked(now)
	c.askHashesLocked(now)
	if c.neitherNeedsLocked(now) {
		c.dropLocked(errBothSeeds)
		return
	}
	if now.UnixNano()-c.lastRead.Load() > int64(idleTimeout) {
		c.dropLocked(errIdle)
		return
	}
	switch quiet := now.Sub(c.tx.lastWrite); {
	case c.tx.writing && quiet > idleTimeout:
		c.dropLocked(errSlowWrite)
	case !c.tx.writing && quiet > keepAliveEvery:
		c.tx.control = peerwire.AppendKeepAlive(c.tx.control)
	}
	c.kickLocked()
}

// rechokeLocked chooses the peers that are unchoked (BEP 3).
func (t *Torrent) rechokeLocked(now time.Time) {
	t.slots.decidedAt = now
	t.candidatesLocked(now)
	t.holdBackLocked(now)
	t.slots.added, t.slots.fast = false, 0
	unchoke := t.choke.Decide(now, t.slots.candidates, t.status.state == StateSeeding, t.rng)
	unused := t.s.opt.UploadSlots
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && unchoke.Has(uint32(c.id)) {
			unused--
		}
	}
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone {
			continue
		}
		if unchoke.Has(uint32(c.id)) {
			t.super.KeepUnchoked(c.id)
			c.unchokeLocked(now)
		} else if unused > 0 && c.slowToAskLocked() {
			unused-- // no other peer needs the slot
		} else if t.status.state == StateSeeding && !c.wire.amChoking && !c.slot.requested && now.Sub(c.tx.unchokedAt) <= spareAfter {
			continue // its first request may be on the way
		} else if !c.wire.amChoking && !t.super.Finishing(c.id, now) {
			c.chokeLocked()
		}
		c.kickLocked()
	}
}

// candidatesLocked describes the connected peers to the choker.
func (t *Torrent) candidatesLocked(now time.Time) []choker.Peer {
	t.slots.candidates = t.slots.candidates[:0]
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone {
			continue
		}
		t.slots.candidates = append(t.slots.candidates, choker.Peer{
			ID:         uint32(c.id),
			Interested: c.wantsSlotLocked() && !c.wastesSlotLocked(now),
			Unchoked:   !c.wire.amChoking,
			UsesSlot:   c.slot.inUse,
			Snubbed:    c.req.snubbed,
			Joined:     c.peer.since,
			UnchokedAt: c.tx.unchokedAt,
			Down:       c.req.meter.rate,
			Up:         c.tx.meter.rate,
			UpBytes:    c.sent.Load(),
			Progress:   float64(t.pick.PeerHaveCount(c.id)) / float64(t.info.NumPieces()),
			Keeps:      c.keepsLocked(now),
		})
	}
	return t.slots.candidates
}

// A download is stalled if no payload arrived for stalledAfter.
const (
	stalledAfter = 10 * time.Second
	steadyWeight = 0.05 // weight of the last second in rates.steady
)

// adjustPatienceLocked sets the time without a block after which a peer counts as snubbing.
// It is longer on a slow line with many peers, where the outstanding blocks of all peers
// take longer to arrive. A stall does not make it longer, because the line is not the reason.
func (t *Torrent) adjustPatienceLocked(now time.Time) {
	pending := 0
	for _, c := range t.peerConns.byID {
		if c != nil {
			pending += t.pick.PendingOf(c.id)
		}
	}
	if now.Sub(t.rates.received) < stalledAfter {
		t.rates.steady += steadyWeight * (t.rates.down.rate - t.rates.steady)
	}
	drain := 2 * float64(pending*picker.BlockSize) / max(1, t.rates.down.rate, t.rates.steady)
	t.patience = max(snubbedAfter, min(idleTimeout, time.Duration(drain*float64(time.Second))))
}
