package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"spate"
	"spate/internal/onevent"
	"spate/internal/reach"
	"spate/publish"
	"spate/storage"
)

// sameProblem is the time in which a torrent that fails with the same error again is no new event.
// A torrent that halted tries again every ten seconds.
const sameProblem = time.Hour

// changed reports a release that was published or withdrawn.
func (d *Daemon) changed(what string, r *publish.Release) {
	d.observer.Changed(what, r)
	d.tell(d.releaseEvent(onevent.Kind(what), r))
}

// torrentKinds maps the changes of added torrents to events. That one halted later is told by
// tellTorrents.
var torrentKinds = map[string]onevent.Kind{
	"added": onevent.Added, "metadata": onevent.Metadata, "completed": onevent.Completed, "stalled": onevent.Stalled, "failed": onevent.Failed,
}

// torrentChanged reports a change of an added torrent.
func (d *Daemon) torrentChanged(what string, i *TorrentInfo) {
	d.observer.TorrentChanged(what, i)
	if k, ok := torrentKinds[what]; ok {
		d.tell(onevent.Event{
			Kind: k, Name: i.Name, InfoHash: i.InfoHash, Path: i.Path, Size: i.TotalLength, Label: i.Label, Message: cmp.Or(i.Error, i.StallReason),
		})
	}
}

// eventListeners are functions that get the events of a daemon.
type eventListeners struct {
	mu   sync.Mutex
	list []*func(onevent.Event) // never changed in place
}

// OnEvent calls f for each event from now on, until stop is called. f must return quickly; it may be
// called concurrently, and once more after stop.
func (d *Daemon) OnEvent(f func(onevent.Event)) (stop func()) {
	l := &d.listeners
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(slices.Clone(l.list), &f)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.DeleteFunc(slices.Clone(l.list), func(g *func(onevent.Event)) bool { return g == &f })
	}
}

// tell tells an event to the rules of the settings and to the functions of OnEvent.
func (d *Daemon) tell(e onevent.Event) {
	if e.Time.IsZero() {
		e.Time = d.env.Now().UTC()
	}
	d.conf.Events.Tell(e)
	d.listeners.mu.Lock()
	list := d.listeners.list
	d.listeners.mu.Unlock()
	for _, f := range list {
		(*f)(e)
	}
}

// releaseEvent returns an event about a release.
func (d *Daemon) releaseEvent(k onevent.Kind, r *publish.Release) onevent.Event {
	base, _ := d.BaseURL()
	info := r.Info(base, true, publish.Counts{}) // the link to hand out
	info.SetAddress(d.Catalog(), base, r)
	return onevent.Event{
		Kind: k, Name: r.Name, ID: r.Ref(), InfoHash: r.Hash().String(), Path: cmp.Or(r.Watched, r.Path), Size: r.Size,
		PageURL: info.PageURL, Label: r.Group,
	}
}

// tellFinish tells the event of a first full copy, besides next.
func (d *Daemon) tellFinish(next func(publish.Finish)) func(publish.Finish) {
	return func(f publish.Finish) {
		if next != nil {
			next(f)
		}
		if f.FirstCopy > 0 {
			d.tell(d.releaseEvent(onevent.FirstFullCopy, f.Release))
		}
	}
}

// tellReach tells the event of a lost mapping, besides next.
func (d *Daemon) tellReach(next func(reach.Status)) func(reach.Status) {
	lost := lostMapping(func(problem string) {
		d.tell(onevent.Event{Kind: onevent.MappingLost, Message: problem})
	})
	return func(now reach.Status) {
		if next != nil {
			next(now)
		}
		lost(now)
	}
}

// lostMapping returns a function that gets each status, and calls tell with the problem when others
// cannot connect any more.
func lostMapping(tell func(problem string)) func(reach.Status) {
	var before reach.Status
	return func(now reach.Status) {
		if before.Peers != "" && now.Peers == "" {
			tell(now.Problem)
		}
		before = now
	}
}

// tellTorrents tells the events of the torrents of the engine until ctx ends.
func (d *Daemon) tellTorrents(ctx context.Context) error {
	sub := d.session.Subscribe(1000)
	defer sub.Close()
	told := problems{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-sub.Events():
			h := e.Torrent.InfoHash()
			if e.Err == nil || !told.isNew(h, e.Time, e.Err) {
				continue
			}
			d.tell(onevent.Event{Kind: failureKind(e.Err), Time: e.Time.UTC(), InfoHash: h.String(), Name: e.Torrent.Name(), Message: e.Err.Error()})
		}
	}
}

// failureKind returns the kind of the event about a torrent that halted because of err.
func failureKind(err error) onevent.Kind {
	if errors.Is(err, storage.ErrFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return onevent.DiskFull
	}
	return onevent.Failed
}

// problems are the failures of torrents that were told.
type problems map[spate.InfoHash]problem

type problem struct {
	text string
	at   time.Time
}

// isNew reports whether a failure of a torrent was not told in the hour before now, and remembers it.
func (p problems) isNew(h spate.InfoHash, now time.Time, err error) bool {
	for h, old := range p {
		if now.Sub(old.at) >= sameProblem {
			delete(p, h)
		}
	}
	if old, ok := p[h]; ok && old.text == err.Error() {
		return false
	}
	p[h] = problem{err.Error(), now}
	return true
}
