package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"spate/internal/daemon"
	"spate/internal/eventstream"
	"spate/internal/onevent"
	"spate/publish"
)

// Times of the events.
const (
	listsEvery  = time.Second // at most one message about changed torrents, and one about releases
	statusEvery = 2 * time.Second
	aliveEvery  = 15 * time.Second // a comment, so that proxies do not end a quiet stream
	retryAfter  = 2 * time.Second  // for a client whose stream has ended
)

// maxChanged limits the changed elements in one message. The others follow in the next one.
const maxChanged = 2000

// NewEvents returns the changes of d for [Server]s. They are computed only while a client listens.
func NewEvents(d *daemon.Daemon, log *slog.Logger) *eventstream.Hub {
	b := backend{d: d}
	return eventstream.New([]eventstream.Watched{
		{Event: "torrents", Every: listsEvery, Source: &eventstream.List[daemon.TorrentInfo]{
			Load: func(context.Context) ([]daemon.TorrentInfo, error) {
				t, err := d.Torrents()
				if err != nil {
					return nil, nil // spate publish, which has none
				}
				list, _ := t.List(daemon.TorrentList{})
				return list, nil
			},
			Key:  func(i *daemon.TorrentInfo) string { return i.InfoHash },
			Same: (*daemon.TorrentInfo).Same,
			Show: func(_ context.Context, changed []daemon.TorrentInfo) (any, error) { return changed, nil },
			Max:  maxChanged,
		}},
		{Event: "releases", Every: listsEvery, Source: &eventstream.List[releaseRow]{
			Load: (&releaseRows{b: b}).load,
			Key:  func(r *releaseRow) string { return r.release.Ref() },
			Same: func(a, b *releaseRow) bool { return *a == *b },
			Show: b.showReleases,
			Max:  maxChanged,
		}},
		{Event: "status", Every: statusEvery, Source: &eventstream.Value{
			Load: func(ctx context.Context) (any, error) { return b.Status(ctx) },
		}},
	}, eventstream.Options{Log: log, Attach: func(tell func(string, any)) func() {
		return d.OnEvent(func(e onevent.Event) { tell("event", e) })
	}})
}

// releaseRow is all of a release that can change in a list. It is compared instead of the
// [publish.ReleaseInfo], which costs more to make.
type releaseRow struct {
	release *publish.Release // of the catalog, which never changes it in place
	latest  bool
	base    string // URL of the site, from which all links are made
	live    publish.Live
	counts  publish.Counts
}

// releaseRows makes the rows of all releases.
type releaseRows struct {
	b        backend
	read     bool
	revision uint64 // of the catalog when latest was read
	latest   map[*publish.Release]bool
}

// load returns the rows of all releases.
func (x *releaseRows) load(ctx context.Context) ([]releaseRow, error) {
	catalog := x.b.d.Catalog()
	revision := catalog.Revision()
	list, _, err := catalog.List(ctx, publish.Query{All: true})
	if err != nil {
		return nil, err
	}
	if !x.read || revision != x.revision {
		latest, err := publish.AreLatest(ctx, catalog, list)
		if err != nil {
			return nil, err
		}
		x.latest = make(map[*publish.Release]bool, len(list))
		for i, r := range list {
			x.latest[r] = latest[i]
		}
		x.read, x.revision = true, revision
	}
	base := x.b.d.SiteURL().String()
	rows := make([]releaseRow, len(list))
	for i, r := range list {
		counts, err := catalog.Total(ctx, r.Hash())
		if err != nil {
			return nil, err
		}
		rows[i] = releaseRow{r, x.latest[r], base, x.b.live(ctx, r), counts}
	}
	return rows, nil
}

// showReleases describes changed releases as in the list of releases.
func (b backend) showReleases(ctx context.Context, changed []releaseRow) (any, error) {
	list := make([]*publish.Release, len(changed))
	for i := range changed {
		list[i] = changed[i].release
	}
	infos, err := b.d.Infos(ctx, list)
	for i := range infos {
		infos[i].Live = changed[i].live
	}
	return infos, err
}

// maxEventID limits the length of the ID of an event that a client names.
const maxEventID = 100

// events streams what changes, as server-sent events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("last_event_id")
	}
	if len(last) > maxEventID {
		last = ""
	}
	l, err := s.backend.Events().Listen(last)
	if errors.Is(err, eventstream.ErrTooMany) {
		return &Error{Code: Busy, Message: err.Error(), Hint: "close other streams of events"}
	} else if err != nil {
		return err
	}
	defer l.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
	if r.Method == http.MethodHead {
		return nil
	}
	ctl := http.NewResponseController(w)
	ctl.SetReadDeadline(time.Time{}) // a stream has no time limit
	write := func(format string, args ...any) error {
		ctl.SetWriteDeadline(time.Now().Add(lineTimeout))
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return ctl.Flush()
	}
	err = write("retry: %d\n\n", retryAfter.Milliseconds())
	for err == nil {
		err = s.nextEvent(r, l, write)
	}
	return nil // the client has gone, or may not listen any more, or the daemon stops
}

// nextEvent writes the next event, or a comment if there is none for a while. It returns an error if the
// stream must end.
func (s *Server) nextEvent(r *http.Request, l *eventstream.Listener, write func(string, ...any) error) error {
	ctx, cancel := context.WithTimeout(r.Context(), aliveEvery)
	defer cancel()
	m, err := l.Next(ctx)
	switch {
	case err == nil:
		return write("id: %s\nevent: %s\ndata: %s\n\n", m.ID, m.Event, m.Data)
	case r.Context().Err() != nil:
		return err
	}
	if _, no := s.opt.Access.Identify(r); no != nil {
		return io.EOF // the token was revoked, or the session has ended
	}
	return write(":\n\n")
}
