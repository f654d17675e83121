package torrent

import (
	"slices"

	"spate/bitfield"
	"spate/storage"
)

// sampleBytes is how much of touched data is checked: all of it if it is not more. A program
// that changes permissions or makes links leaves the data as it is, and reading all data of a
// large seed takes hours.
const sampleBytes = 64 << 20

// minSample is the number of pieces that are checked however long they are.
const minSample = 8

// touchedSince reports whether a file is only touched since a record was made. rec may be nil.
func (t *Torrent) touchedSince(rec *storage.Record) bool {
	if rec == nil {
		return false
	}
	now, err := t.data.files.Stats()
	return err == nil && slices.Contains(rec.Judge(now), storage.Touched)
}

// touchedPieces returns the pieces of good whose files are unchanged or touched since was (see
// [storage.FileStat.Touched]), at least one of them touched.
func (t *Torrent) touchedPieces(was, now []storage.FileStat, good bitfield.Bitfield) bitfield.Bitfield {
	touched, changed := bitfield.New(good.Len()), bitfield.New(good.Len())
	for i := range min(len(was), len(now)) {
		set := changed
		switch {
		case was[i].Same(now[i]):
			continue
		case was[i].Touched(now[i]):
			set = touched
		}
		for p := range t.piecesOf(i) {
			set.Set(p)
		}
	}
	for p := range touched.Ones() {
		if changed.Get(p) || !good.Get(p) {
			touched.Clear(p)
		}
	}
	return touched
}

// checkTouched hashes a sample of the touched pieces, which have contains, and all of them if
// one of the sample is not good. It removes the pieces that are not good from have.
func (t *Torrent) checkTouched(touched, have bitfield.Bitfield) error {
	n := touched.Count()
	if n == 0 {
		return nil
	}
	all := make([]int, 0, n)
	for i := range touched.Ones() {
		all = append(all, i)
	}
	sample := spread(all, max(minSample, int(sampleBytes/t.info.PieceLength)))
	t.log.Info("checking data whose inodes or change times differ", "pieces", len(sample), "of", n)
	good := bitfield.New(have.Len())
	if err := t.hashPieces(t.life.ctx, sample, good); err != nil {
		return err
	}
	if good.Count() < len(sample) {
		if err := t.hashPieces(t.life.ctx, all, good); err != nil {
			return err
		}
		for _, i := range all {
			if !good.Get(i) {
				have.Clear(i)
			}
		}
	}
	return nil
}

// spread returns up to n elements of list at equal distances, with the first and the last.
func spread(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	some := make([]int, n)
	for k := range some {
		some[k] = list[k*(len(list)-1)/(n-1)]
	}
	return some
}
