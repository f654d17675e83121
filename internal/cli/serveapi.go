package cli

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/api"
	"spate/internal/fault"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
	"spate/torrent"
)

// The daemon implements [api.Backend].

// Status implements [api.Backend].
func (d *serveDaemon) Status(ctx context.Context) (api.Status, error) {
	s := api.Status{
		Version: spate.Version, PID: os.Getpid(), Started: d.started, State: d.state, PublicURL: d.base.String(),
		HTTPAddr: d.sockets.httpAddr().String(), UDPAddr: d.sockets.udpAddr(), PeerAddr: d.client.peerAddr(), Folders: []api.Folder{},
	}
	for _, tier := range d.announce {
		s.AnnounceURLs = append(s.AnnounceURLs, tier...)
	}
	for _, f := range d.folders {
		st := f.Status()
		folder := api.Folder{Path: st.Dir, Group: st.Group, Entries: st.Entries, Waiting: st.Waiting}
		if st.Err != nil {
			folder.Error = fault.Message(st.Err)
		}
		for _, name := range slices.Sorted(maps.Keys(st.Refused)) {
			folder.Refused = append(folder.Refused, api.Refused{Name: name, Error: st.Refused[name]})
		}
		s.Folders = append(s.Folders, folder)
	}
	snap, err := d.Snapshot(ctx)
	s.Totals = snap.Totals
	return s, err
}

// Releases implements [api.Backend].
func (d *serveDaemon) Releases(ctx context.Context, l api.List) (api.Releases, error) {
	list, total, err := d.catalog.List(ctx, publish.Query{Text: l.Text, Group: l.Group, All: !l.Latest, Offset: l.Offset, Limit: l.Limit})
	out := api.Releases{Total: total, Releases: []publish.ReleaseInfo{}}
	for _, r := range list {
		if err == nil {
			var one publish.ReleaseInfo
			one, err = d.describe(ctx, r)
			out.Releases = append(out.Releases, one)
		}
	}
	return out, toAPI(err)
}

// Release implements [api.Backend].
func (d *serveDaemon) Release(ctx context.Context, ref string) (publish.ReleaseInfo, error) {
	r, err := d.catalog.Get(ctx, ref)
	if err != nil {
		return publish.ReleaseInfo{}, d.notFound(ref, err)
	}
	out, err := d.describe(ctx, r)
	return out, toAPI(err)
}

// notFound is err with the hint what there is.
func (d *serveDaemon) notFound(ref string, err error) error {
	if !errors.Is(err, publish.ErrNotFound) {
		return toAPI(err)
	}
	return &api.Error{Code: api.NotFound, Message: "no release " + strings.ToValidUTF8(ref, "\ufffd") + " is published here", Hint: "spate list shows what is"}
}

// describe describes r to the owner of the daemon.
func (d *serveDaemon) describe(ctx context.Context, r *publish.Release) (publish.ReleaseInfo, error) {
	i, err := publish.InfoOf(ctx, d.catalog, d.base, r)
	i.Path, i.Live = r.Path, d.live(r)
	return i, err
}

// live is what a release does now: its own torrent and its twin together.
func (d *serveDaemon) live(r *publish.Release) publish.Live {
	l := publish.Live{State: "paused"}
	for _, ih := range r.Hashes() {
		s, _ := d.swarm(ih)
		l.Seeders, l.Leechers = max(l.Seeders, s.Seeders), max(l.Leechers, s.Leechers)
	}
	if s, ok := d.swarm(r.Twin.Hash); ok {
		l.Seeders, l.Leechers = l.Seeders+max(0, s.Seeders-1), l.Leechers+s.Leechers // this machine is in both
	}
	for _, ih := range []spate.InfoHash{r.Hash(), r.Twin.Hash} {
		t := d.client.session.Torrent(ih)
		if t == nil {
			continue
		}
		st := t.Stats()
		l.Peers, l.UpRate, l.DownRate = l.Peers+st.Peers, l.UpRate+st.UpRate, l.DownRate+st.DownRate
		if ih != r.Hash() {
			continue
		}
		l.State, l.Progress = st.State.String(), 1
		switch {
		case st.Err != nil:
			l.State, l.Error = "failed", st.Err.Error()
		case st.State == torrent.StateChecking && st.Pieces > 0:
			l.Progress = float64(st.Checked) / float64(st.Pieces)
		case st.State == torrent.StateDownloading: // it writes nothing: what is missing is gone
			l.State, l.Error = "failed", "some of the data is not what was published"
			l.Progress = float64(st.PiecesHave) / float64(max(1, st.Pieces))
		}
	}
	l.UpRate, l.DownRate = math.Round(l.UpRate), math.Round(l.DownRate)
	return l
}

// Peers implements [api.Backend].
func (d *serveDaemon) Peers(ctx context.Context, ref string) ([]api.Peer, error) {
	r, err := d.catalog.Get(ctx, ref)
	if err != nil {
		return nil, d.notFound(ref, err)
	}
	out := []api.Peer{}
	for _, ih := range []spate.InfoHash{r.Hash(), r.Twin.Hash} {
		t := d.client.session.Torrent(ih)
		if t == nil {
			continue
		}
		for _, p := range t.PeerStats() {
			have := p.Have
			if math.IsNaN(have) {
				have = 0
			}
			out = append(out, api.Peer{
				Addr: p.Key.String(), Client: p.Client, Incoming: p.Incoming, Have: have, Uploaded: p.Uploaded, Downloaded: p.Downloaded,
				UpRate: math.Round(p.UpRate), DownRate: math.Round(p.DownRate), Interested: p.Interested, Unchoked: p.Unchoked, Twin: ih == r.Twin.Hash,
			})
		}
	}
	return out, nil
}

// Snapshot implements [api.Backend].
func (d *serveDaemon) Snapshot(ctx context.Context) (api.Snapshot, error) {
	list, _, err := d.catalog.List(ctx, publish.Query{All: true})
	if err != nil {
		return api.Snapshot{}, toAPI(err)
	}
	s := api.Snapshot{Time: d.app.Now().UTC(), Releases: make([]api.Row, 0, len(list))}
	for _, r := range list {
		row := api.Row{Ref: r.Ref(), TotalLength: r.Size, Live: d.live(r), Counts: d.counter.Totals(r)}
		s.Releases = append(s.Releases, row)
		t := &s.Totals
		t.Releases, t.Peers, t.Seeders, t.Leechers = t.Releases+1, t.Peers+row.Peers, t.Seeders+row.Seeders, t.Leechers+row.Leechers
		t.UpRate, t.DownRate = t.UpRate+row.UpRate, t.DownRate+row.DownRate
		switch row.State {
		case "paused":
			t.Paused++
		case "failed":
			t.Failed++
		}
	}
	h, err := d.catalog.History(ctx, spate.InfoHash{}, d.app.Now())
	s.Totals.Counts = h.Total
	return s, toAPI(err)
}

// Publish implements [api.Backend].
func (d *serveDaemon) Publish(ctx context.Context, p api.Publish, each func(api.Event)) error {
	if err := absolute(p.Paths...); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.life, func() { cancel(errors.New("spate serve stops")) })()
	rel := releaseFlags{slug: p.Slug, version: p.Version, variants: p.Variants, group: p.Group, notes: p.Notes, noTwin: p.NoTwin}
	if err := rel.prepare(p.Paths); err != nil {
		return toAPI(err)
	}
	if p.Name != "" && len(p.Paths) > 1 {
		return &api.Error{Code: api.BadRequest, Message: "a name is for one path"}
	}
	for i, path := range p.Paths {
		spec := rel.spec(maker.Options{
			Format: metainfo.Format(p.Format), PieceLength: p.PieceLength, Name: p.Name, WebSeeds: p.WebSeeds, Private: p.Private, Comment: p.Comment,
			Source: p.Source, CreatedBy: p.CreatedBy, NoDate: p.NoDate, Include: p.Include, Exclude: p.Exclude, Hidden: p.Hidden,
		}, i)
		spec.Newer = p.Newer
		if len(p.Announce) > 0 {
			spec.Announce = append(append([][]string{}, d.announce...), p.Announce...)
		}
		told := time.Time{}
		spec.Progress = func(g maker.Progress) {
			if now := time.Now(); now.Sub(told) >= statusEvery || g.Done == g.Total {
				told = now
				each(api.Event{Event: "progress", Path: path, Done: g.Done, Total: g.Total, Rate: g.Rate})
			}
		}
		spec.Skipped = func(s maker.Skipped) {
			each(api.Event{Event: "skipped", Path: filepath.Join(path, filepath.FromSlash(s.Path)), Reason: string(s.Reason)})
		}
		r, err := d.publisher.Publish(ctx, path, spec)
		if err != nil {
			return toAPI(publishError(path, err))
		}
		if rel.slug != "" {
			rel.version = r.Version
		}
		e, err := d.event("published", r)
		if err != nil {
			return toAPI(err)
		}
		d.told("published", r)
		each(api.Event{Event: "published", Path: path, Release: &e.ReleaseInfo})
	}
	return nil
}

// Change implements [api.Backend].
func (d *serveDaemon) Change(ctx context.Context, ref string, c api.Change) error {
	if c.Notes != nil && len(*c.Notes) > publish.MaxNotes {
		return &api.Error{Code: api.BadRequest, Message: "the notes are too long"}
	}
	var err error
	if c.Paused != nil && *c.Paused {
		err = d.publisher.Pause(ctx, ref)
	} else if c.Paused != nil {
		err = d.publisher.Resume(ctx, ref)
	}
	if err == nil && (c.Group != nil || c.Notes != nil) {
		err = d.publisher.Describe(ctx, ref, c.Group, c.Notes)
	}
	if err != nil {
		return d.notFound(ref, err)
	}
	return nil
}

// Withdraw implements [api.Backend]. What lies in a watched folder would come
// again, so it is refused there.
func (d *serveDaemon) Withdraw(ctx context.Context, ref string) error {
	list, err := d.publisher.Named(ctx, ref)
	if err != nil {
		return d.notFound(ref, err)
	}
	for _, r := range list {
		if r.Watched == "" {
			continue
		}
		if _, err := os.Lstat(r.Watched); err == nil {
			return &api.Error{Code: api.Exists, Message: "it is published from a watched folder, for it is " + r.Watched, Hint: "take it out of the folder, or pause it"}
		}
	}
	if err := d.publisher.Withdraw(ctx, ref); err != nil {
		return d.notFound(ref, err)
	}
	for _, r := range list {
		d.told("withdrawn", r)
	}
	return nil
}

// Backup implements [api.Backend].
func (d *serveDaemon) Backup(ctx context.Context, path string) error {
	if err := absolute(path); err != nil {
		return err
	}
	err := d.db.Backup(ctx, path)
	if errors.Is(err, fs.ErrExist) {
		return &api.Error{Code: api.Exists, Message: path + " exists already", Hint: "name another file"}
	}
	return toAPI(err)
}
