package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spate"
	"spate/publish"
	"spate/torrent"
)

// stateEvery is the interval at which followStates reads the states of the torrents.
const stateEvery = time.Second

// followStates keeps the tracker and the catalog in step with the engine. A torrent whose files
// have changed leaves the origins of its swarm. When the engine has checked the data again
// and seeds it, the torrent is an origin again, and its files count as those that were
// hashed.
func (p *Publisher) followStates(ctx context.Context) error {
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	last := map[spate.InfoHash]torrent.State{}
	for {
		now := map[spate.InfoHash]torrent.State{}
		for _, t := range p.session.Torrents() {
			ih, state := t.InfoHash(), releaseState(t)
			was, known := last[ih]
			if !known {
				was = torrent.StateChecking
			}
			now[ih] = state
			if state != was {
				p.stateChanged(ctx, t, was, state)
			}
		}
		last = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// releaseState returns the state of t, a torrent of a release. It is StateDownloading if t lacks
// data, although t then seeds what it has.
func releaseState(t *torrent.Torrent) torrent.State {
	state := t.State()
	if state == torrent.StateSeeding && !t.Whole() {
		return torrent.StateDownloading
	}
	return state
}

// stateChanged handles a change of the state of a torrent.
func (p *Publisher) stateChanged(ctx context.Context, t *torrent.Torrent, was, is torrent.State) {
	ih := t.InfoHash()
	r, err := p.publisher.Catalog().Find(ctx, ih)
	if err != nil || r.Hash() != ih || r.Paused {
		return // a twin, or a release that is being published or withdrawn
	}
	bad := func(s torrent.State) bool { return s == torrent.StateFailed || s == torrent.StateDownloading }
	if bad(is) != bad(was) {
		err = p.publisher.SetServed(r, !bad(is))
	}
	if is == torrent.StateSeeding && (bad(was) || p.publisher.Unverified(ih)) {
		err = errors.Join(err, p.publisher.Reaccept(ctx, r, func() error { return p.recheck(ctx, r) }))
	}
	if err != nil {
		p.env.Log.Warn("the state of a release could not be updated", "release", r.Ref(), "err", err)
	}
}

// recheckTime is how long recheck waits for the engine. The engine notices a touched file within
// one tick, and checks 64 MiB of it.
const recheckTime = 10 * time.Second

// recheck makes the engine compare the files of a release, one of which was touched, and waits
// until the engine has checked them and seeds the release again.
func (p *Publisher) recheck(ctx context.Context, r *publish.Release) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recheckTime, fmt.Errorf("%w: its data is being checked", publish.ErrGone))
	defer cancel()
	both := []spate.InfoHash{r.Twin.Hash, r.Hash()}
	for _, ih := range both {
		if t := p.session.Torrent(ih); t != nil {
			t.CheckFiles() // the engine checks both at the same time
		}
	}
	for _, ih := range both {
		t := p.session.Torrent(ih)
		switch {
		case t != nil:
			if err := seedsAgain(ctx, t); err != nil {
				return err
			}
		case ih == r.Hash():
			return fmt.Errorf("%w: it is not seeded at present", publish.ErrGone)
		}
	}
	return nil
}

// errWrongData is the cause if a check has found that data of a release is wrong.
var errWrongData = errors.New("some of its data is wrong")

// seedsAgain compares the files of t and waits until t seeds. It returns an error if t halts,
// lacks data or ctx ends.
func seedsAgain(ctx context.Context, t *torrent.Torrent) error {
	tick := time.NewTicker(recheckTime / 200)
	defer tick.Stop()
	for {
		changed := t.CheckFiles()
		switch releaseState(t) {
		case torrent.StateSeeding:
			if changed == nil {
				return nil
			}
		case torrent.StateDownloading:
			return errWrongData
		case torrent.StateFailed:
			if t.Wait(ctx) != nil && ctx.Err() == nil { // otherwise the torrent checks its data
				return errWrongData
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// openFile opens a file of a release for the site. If the file has changed or is gone, the
// engine compares all files of the release, so that it halts the torrent at once.
func (p *Publisher) openFile(ctx context.Context, r *publish.Release, i int) (*publish.Content, error) {
	content, err := p.publisher.Open(ctx, r, i)
	if errors.Is(err, publish.ErrChanged) || errors.Is(err, publish.ErrGone) {
		for _, ih := range []spate.InfoHash{r.Hash(), r.Twin.Hash} {
			if t := p.session.Torrent(ih); t != nil {
				t.CheckFiles()
			}
		}
	}
	return content, err
}
