package torrent

import (
	"errors"
	"time"

	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/picker"
)

// Times between two runs of what tick starts.
const (
	chokeEvery      = 10 * time.Second
	resumeEvery     = 20 * time.Second
	checkFilesEvery = 5 * time.Second
	retryEvery      = 10 * time.Second
)

// tick is called about once a second and does everything that depends on the time.
func (t *Torrent) tick(now time.Time) {
	t.mu.Lock()
	t.upMeter.update(now, t.uploaded.Load())
	t.downMeter.update(now, t.downloaded.Load())
	running := t.state == StateDownloading || t.state == StateSeeding
	t.tickSuperSeedLocked(now)
	t.adjustPatienceLocked()
	t.tickParkedLocked(now)
	free := false
	for _, c := range t.conns {
		if c != nil {
			c.tickLocked(now)
			free = c.updateIdleLocked(now) || free
		}
	}
	if free {
		t.fillSlotsLocked(now)
	}
	t.addSpareSlotsLocked(now)
	if running && t.nconns > 0 && now.Sub(t.choked) >= chokeEvery {
		t.rechokeLocked(now)
	}
	t.relieveReadersLocked(now)
	needsPeers := t.state == StateDownloading && t.nconns == 0
	save := t.dirty && t.dormant == nil && running && now.Sub(t.saved) >= resumeEvery
	_, detects := storage.As[storage.ChangeDetector](t.store)
	check := running && detects && t.nconns > 0 && now.Sub(t.filesChecked) >= checkFilesEvery
	retry := t.state == StateFailed && now.Sub(t.failedAt) >= retryEvery && !errors.Is(t.err, ErrHybridMismatch)
	t.mu.Unlock()

	t.tickWebSeeds(now)
	if needsPeers {
		t.s.announcer.Hurry(t.anns)
	}
	if running {
		t.dialMore(now)
	}
	if save {
		t.background(&t.saving, func() { t.saveResume(false) })
	}
	if check {
		t.background(&t.checkingFiles, t.checkFiles)
	}
	if retry {
		t.background(&t.retrying, t.retry)
	}
}

func (c *conn) tickLocked(now time.Time) {
	c.downMeter.update(now, c.received.Load())
	c.upMeter.update(now, c.sent.Load())
	c.pipe.adjust(c.downMeter.rate)
	c.meterBusyLocked()
	c.checkSnubbedLocked(now)
	c.refillLocked(now)
	c.tellPEXLocked(now)
	c.askHashesLocked(now)
	if now.UnixNano()-c.lastRead.Load() > int64(idleTimeout) {
		c.dropLocked(errIdle)
		return
	}
	switch quiet := now.Sub(c.lastWrite); {
	case c.writing && quiet > idleTimeout:
		c.dropLocked(errSlowWrite)
	case !c.writing && quiet > keepAliveEvery:
		c.out = peerwire.AppendKeepAlive(c.out)
	}
	c.kickLocked()
}

// rechokeLocked chooses the peers that are unchoked (BEP 3).
func (t *Torrent) rechokeLocked(now time.Time) {
	t.choked = now
	t.candidates = t.candidates[:0]
	for _, c := range t.conns {
		if c == nil || c.gone {
			continue
		}
		t.candidates = append(t.candidates, choker.Peer{
			ID:         uint32(c.id),
			Interested: c.wantsSlotLocked() && !c.wastesSlotLocked(now),
			Unchoked:   !c.amChoking,
			UsesSlot:   c.slot.inUse,
			Snubbed:    c.snubbed,
			Joined:     c.since,
			UnchokedAt: c.unchokedAt,
			Down:       c.downMeter.rate,
			Up:         c.upMeter.rate,
			UpBytes:    c.sent.Load(),
			Progress:   float64(t.pick.PeerHaveCount(c.id)) / float64(t.info.NumPieces()),
		})
	}
	t.slots.added = false
	unchoke := t.choke.Decide(now, t.candidates, t.state == StateSeeding, t.rng)
	unused := t.s.opt.UploadSlots
	for _, c := range t.conns {
		if c != nil && !c.gone && unchoke.Has(uint32(c.id)) {
			unused--
		}
	}
	for _, c := range t.conns {
		if c == nil || c.gone {
			continue
		}
		if unchoke.Has(uint32(c.id)) {
			t.super.KeepUnchoked(c.id)
			c.unchokeLocked(now)
		} else if unused > 0 && c.slowToAskLocked() {
			unused-- // no other peer needs the slot
		} else if t.state == StateSeeding && !c.amChoking && !c.slot.requested && now.Sub(c.unchokedAt) <= spareAfter {
			continue // its first request may be on the way
		} else if !c.amChoking && !t.super.Finishing(c.id, now) {
			c.chokeLocked()
		}
		c.kickLocked()
	}
}

// adjustPatienceLocked sets the time without a block after which a peer counts as snubbing.
// It is longer on a slow line with many peers, where the outstanding blocks of all peers
// take longer to arrive.
func (t *Torrent) adjustPatienceLocked() {
	pending := 0
	for _, c := range t.conns {
		if c != nil {
			pending += t.pick.PendingOf(c.id)
		}
	}
	drain := 2 * float64(pending*picker.BlockSize) / max(1, t.downMeter.rate)
	t.patience = max(snubbedAfter, min(idleTimeout, time.Duration(drain*float64(time.Second))))
}
