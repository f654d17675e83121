package torrent

import (
	"errors"
	"fmt"
	"time"

	"spate/bitfield"
	"spate/internal/netguard"
	"spate/internal/webseed"
)

// A fault that one file shows costs only the pieces of this file at this web seed, for some
// time. The whole web seed pauses if no connection to it is possible, if it asks for a pause,
// or if many of its files fail in a row. It stops, for a longer time, if it has sent many wrong
// pieces, or if its address is one that a web seed may not have. A fault ends at the latest
// some hours later, because servers are repaired. Pieces that were wrong at a web seed are
// requested there only when it has no other piece that is missing.

// Pauses after a failure. webRetry applies to a server and to faults that can pass soon,
// webLateRetry to files that the server does not have or has with other content, and
// webStopRetry to a server that stops.
var (
	webStopRetry = netguard.Backoff{First: 10 * time.Minute, Last: 6 * time.Hour}

	webRetry     = netguard.Backoff{First: 5 * time.Second, Last: 10 * time.Minute}
	webLateRetry = netguard.Backoff{First: 2 * time.Minute, Last: 4 * time.Hour}
)

const (
	maxFaultsInRow = 8 // failures of files without any data between, until the web seed pauses
	maxWrongPieces = 3 // wrong pieces of one file, until the file is not requested
	// maxWrongTotal bounds the wrong pieces of one web seed, until it stops. After a stop, it
	// may send maxWrongPieces more until it stops again, for longer.
	maxWrongTotal = 32
)

// errWrongData is the error of a web seed with a piece that failed its hash.
var errWrongData = errors.New("the server sent wrong data")

// webFaults holds the files and pieces that failed at one web seed. Torrent.mu guards it.
type webFaults struct {
	files  map[int]*webFault // by index of the file
	pieces map[int]*webFault // by index of the piece
	wrong  int               // pieces that failed their hash
}

// webFault is the fault of a file or of a piece.
type webFault struct {
	fails  int       // failures in a row
	notYet time.Time // the file or piece is not requested before
	late   bool      // the fault is not likely to pass soon
	wrong  int       // pieces of the file that failed their hash
	err    error     // the last failure; nil if the file or piece is requested
	// noRanges says that the server sends only the whole file.
	noRanges bool
}

// fault returns the fault with a key, which it adds if there is none.
func fault(m *map[int]*webFault, key int) *webFault {
	if *m == nil {
		*m = map[int]*webFault{}
	}
	if (*m)[key] == nil {
		(*m)[key] = &webFault{}
	}
	return (*m)[key]
}

// failed records err and sets the pause after another failure.
func (f *webFault) failed(now time.Time, err error, late bool, asked time.Duration) {
	if now.Before(f.notYet) {
		return // another connection has failed before
	}
	f.err = err
	b := webRetry
	if late {
		b = webLateRetry
	}
	f.late = late
	f.notYet = now.Add(b.Pause(f.fails, asked))
	f.fails++
}

// noRanges reports whether the server has sent a whole file instead of a range.
func (w *webFaults) noRanges() bool {
	for _, f := range w.files {
		if f.noRanges {
			return true
		}
	}
	return false
}

// webHasWantedLocked reports whether a wanted piece can be requested from a web seed now.
func (t *Torrent) webHasWantedLocked(s *webSeed, now time.Time) bool {
	if len(s.faults.files)+len(s.faults.pieces) == 0 {
		return true
	}
	have, _ := t.webPiecesLocked(s, now)
	return t.hasWantedLocked(have, nil)
}

// fileWorkedLocked ends the faults of the files of which the n bytes from off have arrived.
func (s *webSeed) fileWorkedLocked(t *Torrent, off, n int64) {
	for k, f := range s.faults.files {
		file := &t.info.Files[k]
		switch {
		case file.Offset >= off+n || file.Offset+file.Length <= off || f.wrong > 0:
		case f.noRanges:
			f.fails, f.err = 0, nil
		default:
			delete(s.faults.files, k)
		}
	}
}

// failedLocked handles the error of a connection.
func (s *webSeed) failedLocked(t *Torrent, now time.Time, err error) {
	if s.stopped(now) {
		return // the other connections fail too
	}
	s.err = err
	var broken *webseed.BrokenError
	var busy *webseed.BusyError
	var file *webseed.FileError
	asked := time.Duration(0)
	switch {
	case errors.As(err, &broken):
		s.stopLocked(t, now)
		return
	case errors.As(err, &file):
		f := fault(&s.faults.files, file.File)
		if file.NoRanges && !f.noRanges {
			f.noRanges = true
			t.log.Info("web seed sends whole files only", "url", s.src, "err", err)
			return
		}
		f.failed(now, err, !file.Temporary, file.RetryAfter)
		t.webFileFailedLocked(s, file.File)
		t.log.Warn("a file of a web seed is not used for some time", "url", s.src, "err", err, "retry", f.notYet.Sub(now))
		s.faultsInRow++
		if s.faultsInRow < maxFaultsInRow {
			return
		}
	case errors.As(err, &busy):
		asked = busy.RetryAfter
	}
	if now.Before(s.notYet) {
		return // another connection has failed before
	}
	s.notYet = now.Add(webRetry.Pause(s.fails, asked))
	s.fails++
	if busy != nil && len(t.info.Files) > 1 {
		// Other files are requested first after the pause, because the server may be busy for
		// this file only.
		fault(&s.faults.files, busy.File).failed(s.notYet, err, false, 0)
	}
	t.log.Info("web seed failed", "url", s.src, "err", err, "retry", s.notYet.Sub(now))
}

// stopLocked ends the use of the web seed for a long time because of s.err.
func (s *webSeed) stopLocked(t *Torrent, now time.Time) {
	s.stopUntil = now.Add(webStopRetry.Pause(s.stops, 0))
	s.stops++
	s.faults.wrong = min(s.faults.wrong, maxWrongTotal-maxWrongPieces)
	t.web.stopConns(s)
	t.log.Warn("web seed is not used for a long time", "url", s.src, "err", s.err, "retry", s.stopUntil.Sub(now))
}

// stopped reports whether the web seed has stopped and may not be used yet.
func (s *webSeed) stopped(now time.Time) bool { return now.Before(s.stopUntil) }

// workedLocked records that the server has answered all requests of a run.
func (s *webSeed) workedLocked(now time.Time) {
	s.proven, s.fails, s.faultsInRow = true, 0, 0
	if s.faults.wrong < maxWrongTotal-maxWrongPieces {
		s.stops = 0 // the address was not allowed before
	}
	if !s.stopped(now) {
		s.err = nil // the faults keep the errors of their files and pieces
	}
}

// webFileFailedLocked removes the pieces of a file from the connections to a web seed.
func (t *Torrent) webFileFailedLocked(s *webSeed, file int) {
	from, to := t.piecesOfFile(file)
	for c := range s.conns {
		for i := from; i < to; i++ {
			t.pick.PeerDontHave(c.id, i)
		}
	}
}

// webSentWrongDataLocked handles a piece that failed its hash because of a web seed. The piece
// is not requested from the web seed for a long time, and after some such pieces the file is
// not requested either.
func (t *Torrent) webSentWrongDataLocked(key PeerKey, piece int) {
	now := time.Now()
	for _, s := range t.web.seeds {
		if s.key != key {
			continue
		}
		s.err = fmt.Errorf("%v: piece %d: %w", s.src, piece, errWrongData)
		fault(&s.faults.pieces, piece).failed(now, s.err, true, 0)
		for c := range s.conns {
			t.pick.PeerDontHave(c.id, piece)
		}
		if s.stopped(now) {
			return // the piece was requested before the stop
		}
		s.faults.wrong++
		t.log.Warn("web seed sent wrong data", "url", s.src, "piece", piece)
		if s.faults.wrong >= maxWrongTotal {
			s.stopLocked(t, now)
			return
		}
		for k := range t.info.Files {
			if from, to := t.piecesOfFile(k); piece < from || piece >= to {
				continue
			}
			f := fault(&s.faults.files, k)
			f.wrong++
			if f.wrong >= maxWrongPieces {
				f.failed(now, s.err, true, 0)
				t.web.stopConns(s) // their requests may be for this file
			}
		}
	}
}

// piecesOfFile returns the pieces from "from" to before "to", which hold bytes of a file.
// Padding and an empty file have none.
func (t *Torrent) piecesOfFile(file int) (from, to int) {
	f := &t.info.Files[file]
	if f.Length == 0 || f.Pad() {
		return 0, 0
	}
	return int(f.Offset / t.info.PieceLength), int((f.Offset+f.Length-1)/t.info.PieceLength) + 1
}

// webPiecesLocked returns the pieces that may be requested from a web seed now, and the files
// that must be read as a whole.
func (t *Torrent) webPiecesLocked(s *webSeed, now time.Time) (have bitfield.Bitfield, whole []int) {
	have = bitfield.New(t.info.NumPieces())
	have.SetAll()
	for k, f := range s.faults.files {
		from, to := t.piecesOfFile(k)
		usable := !now.Before(f.notYet)
		if usable && f.noRanges {
			usable = !t.otherWebSeedLocked(s, k, now)
			if usable {
				whole = append(whole, k)
			}
		}
		for i := from; i < to; i++ {
			if !usable || f.noRanges && t.pick.Availability(i) > 0 {
				have.Clear(i)
			}
		}
	}
	var again []int // pieces that were wrong, and whose pause is over
	for i, f := range s.faults.pieces {
		if now.Before(f.notYet) {
			have.Clear(i)
		} else if have.Get(i) {
			again = append(again, i)
		}
	}
	if t.hasWantedLocked(have, s.faults.pieces) {
		for _, i := range again {
			have.Clear(i)
		}
	}
	return have, whole
}

// webAloneLocked reports whether no peer is connected and no other web seed works.
func (t *Torrent) webAloneLocked(s *webSeed, now time.Time) bool {
	return t.peerConns.n == 0 && !t.otherWebSeedLocked(s, -1, now)
}

// hasWantedLocked reports whether a piece is set in have, is wanted, has not arrived yet, and is
// not in except.
func (t *Torrent) hasWantedLocked(have bitfield.Bitfield, except map[int]*webFault) bool {
	for i := range t.info.NumPieces() {
		if have.Get(i) && !t.pick.Have(i) && t.pick.Priority(i) > 0 && except[i] == nil {
			return true
		}
	}
	return false
}

// webErrLocked returns the reason why missing data cannot be had from a web seed: the error of
// the whole server, or of a file or piece that is wanted and missing. If several failed, faults
// that last long come first, then files, then the first in the torrent. Otherwise it returns the
// error of the last request if it failed.
func (t *Torrent) webErrLocked(s *webSeed, now time.Time) error {
	var file *webseed.FileError
	if t.pick == nil || s.stopped(now) || s.fails > 0 && !errors.As(s.err, &file) {
		return s.err
	}
	var cause *webFault
	first := 0
	consider := func(f *webFault, from, to int) {
		switch {
		case f.err == nil || cause != nil && (cause.late && !f.late || cause.late == f.late && first <= from):
		case t.lacksWantedLocked(from, to):
			cause, first = f, from
		}
	}
	for k, f := range s.faults.files {
		from, to := t.piecesOfFile(k)
		consider(f, from, to)
	}
	if cause == nil || !cause.late {
		for i, f := range s.faults.pieces {
			consider(f, i, i+1)
		}
	}
	if cause == nil {
		return s.err
	}
	return cause.err
}

// lacksWantedLocked reports whether a piece from "from" to before "to" is wanted and has not
// arrived yet.
func (t *Torrent) lacksWantedLocked(from, to int) bool {
	for i := from; i < to; i++ {
		if !t.pick.Have(i) && t.pick.Priority(i) > 0 {
			return true
		}
	}
	return false
}

// otherWebSeedLocked reports whether a web seed other than s works, and can send ranges of a
// file if file is not negative.
func (t *Torrent) otherWebSeedLocked(s *webSeed, file int, now time.Time) bool {
	for _, o := range t.web.seeds {
		if o == s || o.stopped(now) || o.fails > 0 {
			continue
		}
		if f := o.faults.files[file]; f == nil || !f.noRanges && !now.Before(f.notYet) {
			return true
		}
	}
	return false
}

// webNextTryLocked returns when something is requested from a web seed again, or the zero time
// if it did not fail. stopped reports whether it has nothing that is missing because of faults
// that are not likely to pass soon.
func (t *Torrent) webNextTryLocked(s *webSeed, now time.Time) (next time.Time, stopped bool) {
	next = s.notYet
	if s.stopped(now) {
		return s.stopUntil, true
	}
	if t.pick == nil || t.webHasWantedLocked(s, now) {
		return next, false
	}
	first := time.Time{}
	for _, faults := range []map[int]*webFault{s.faults.files, s.faults.pieces} {
		for _, f := range faults {
			if !now.Before(f.notYet) {
				continue
			}
			if !f.late {
				return next, false
			}
			if first.IsZero() || f.notYet.Before(first) {
				first = f.notYet
			}
		}
	}
	if first.After(next) {
		next = first
	}
	return next, !first.IsZero()
}
