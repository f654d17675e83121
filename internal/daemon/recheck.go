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

// recheckTime is how long recheck waits for the engine. The engine notices a touched file within
// one tick, and checks 64 MiB of it.
const recheckTime = 10 * time.Second

// recheck makes the engine compare the files of a release, one of which was touched, and waits
// until the engine has checked them and seeds the release again.
func (p *Publisher) recheck(ctx context.Context, r *publish.Release) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recheckTime, publish.ErrUnchecked)
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
			return fmt.Errorf("%w: it is not seeded at present", publish.ErrUnchecked)
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
		switch state := t.State(); {
		case seedsAll(t):
			if changed == nil {
				return nil
			}
		case state == torrent.StateSeeding, state == torrent.StateDownloading:
			return errWrongData
		case state == torrent.StateFailed:
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

// openFile opens a file of a release for the site. If the file is not as it was hashed, the
// engine compares all files of the release, so that it halts the torrent at once. If the engine
// seeds the file as it is now, because it has found the data good, the file counts as the one
// that was hashed.
func (p *Publisher) openFile(ctx context.Context, r *publish.Release, i int) (*publish.Content, error) {
	content, err := p.publisher.Open(ctx, r, i)
	if !errors.Is(err, publish.ErrChanged) && !errors.Is(err, publish.ErrGone) && !errors.Is(err, publish.ErrUnchecked) {
		return content, err
	}
	good := false
	for _, ih := range []spate.InfoHash{r.Hash(), r.Twin.Hash} {
		if t := p.session.Torrent(ih); t != nil {
			failed := t.CheckFiles()
			good = good || failed == nil && ih == r.Hash() && seedsAll(t)
		}
	}
	if !good || p.publisher.Reaccept(ctx, r, func() error { return p.recheck(ctx, r) }) != nil {
		return nil, err
	}
	full, changed := p.publisher.Catalog().Get(ctx, r.Ref())
	if changed != nil || full.Hash() != r.Hash() {
		return nil, err
	}
	return p.publisher.Open(ctx, full, i)
}
