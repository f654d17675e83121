package api

import (
	"context"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/eventstream"
	"spate/internal/fault"
	"spate/internal/fileserver"
	"spate/internal/reach"
	"spate/maker"
	"spate/publish"
	"spate/site"
	"spate/torrent"
)

// NewBackend returns a backend for a daemon of this process and its changes. remote means that its
// callers may be on other machines: they may not make the daemon use the network of this machine, nor
// write where they want.
func NewBackend(d *daemon.Daemon, events *eventstream.Hub, remote bool) Backend {
	return backend{d, events, remote}
}

type backend struct {
	d      *daemon.Daemon
	events *eventstream.Hub
	remote bool
}

// Events implements [Backend].
func (b backend) Events() *eventstream.Hub { return b.events }

// Status implements [Backend].
func (b backend) Status(ctx context.Context) (Status, error) {
	d := b.d
	s := Status{
		Version: spate.Version, PID: os.Getpid(), Verb: d.Verb(), Started: d.Started(), State: d.State(), PublicURL: d.SiteURL().String(),
		HTTPAddr: d.HTTPAddr(), UDPAddr: d.UDPAddr(), PeerAddr: d.PeerAddr(), WebSeed: d.ShutOut(), Folders: []Folder{}, Uplink: d.Uplink(), Reach: d.Reach(), Checks: d.Checked(),
		Schedule: d.ScheduleNow(), Volume: d.Volume(),
	}
	if st, on := d.IPFilter(); on {
		s.IPFilter = &st
	}
	if n, on := d.DHTNodes(); on {
		s.DHTNodes = &n
	}
	for _, tier := range d.Announce() {
		s.AnnounceURLs = append(s.AnnounceURLs, tier...)
	}
	for _, f := range d.Folders() {
		st := f.Status()
		folder := Folder{Path: st.Dir, Group: st.Group, Entries: st.Entries, Waiting: st.Waiting}
		if h := st.Hashing; h != nil {
			folder.Hashing = &Hashing{Name: h.Name, Done: h.Done, Total: h.Total, Rate: math.Round(h.Rate)}
		}
		if st.Err != nil {
			folder.Error = fault.Message(st.Err)
		}
		for _, name := range slices.Sorted(maps.Keys(st.Refused)) {
			folder.Refused = append(folder.Refused, Refused{Name: name, Error: st.Refused[name]})
		}
		s.Folders = append(s.Folders, folder)
	}
	if t, err := d.Torrents(); err == nil {
		totals := t.Totals()
		s.Torrents = &totals
	}
	snap, err := b.Snapshot(ctx)
	s.Totals = snap.Totals
	return s, err
}

// Check implements [Backend].
func (b backend) Check(context.Context) (*doctor.Report, error) { return b.d.Check(), nil }

// Releases implements [Backend].
func (b backend) Releases(ctx context.Context, l List) (Releases, error) {
	list, total, err := b.d.Catalog().List(ctx, publish.Query{Text: l.Text, Group: l.Group, All: !l.Latest, Offset: l.Offset, Limit: l.Limit})
	if err != nil {
		return Releases{}, toAPI(err)
	}
	infos, err := b.d.Infos(ctx, list)
	for i := range infos {
		infos[i].Live = b.live(ctx, list[i])
	}
	return Releases{Total: total, Releases: infos}, toAPI(err)
}

// Release implements [Backend].
func (b backend) Release(ctx context.Context, ref string) (publish.ReleaseInfo, error) {
	r, err := b.d.Catalog().Get(ctx, ref)
	if err != nil {
		return publish.ReleaseInfo{}, notFound(ref, err)
	}
	out, err := b.describe(ctx, r)
	return out, toAPI(err)
}

// notFound returns the error about the release ref.
func notFound(ref string, err error) error { return toAPI(daemon.NotFound(ref, err)) }

// describe converts r for the owner of the daemon.
func (b backend) describe(ctx context.Context, r *publish.Release) (publish.ReleaseInfo, error) {
	i, err := b.d.Info(ctx, r)
	i.Live = b.live(ctx, r)
	return i, err
}

// live returns the current state of a release. It adds up its torrent and the separate v1
// torrent.
func (b backend) live(ctx context.Context, r *publish.Release) publish.Live {
	state := b.d.ReleaseState(ctx, r)
	l := publish.Live{State: state.Name, Progress: state.Progress}
	if state.Err != nil {
		l.Error = state.Err.Error()
	}
	n, _ := site.Peers(r, b.d.Swarm, b.d.Common)
	l.Seeders, l.Leechers = n.Seeders, n.Leechers
	for _, t := range b.torrents(r) {
		st := t.Stats()
		l.Peers, l.UpRate, l.DownRate = l.Peers+st.Peers, l.UpRate+st.UpRate, l.DownRate+st.DownRate
	}
	if l.Peers > 1 && !r.Twin.Hash.IsZero() {
		l.Peers = len(b.peers(r)) // some may be connected in both swarms
	}
	l.UpRate, l.DownRate = math.Round(l.UpRate), math.Round(l.DownRate)
	return l
}

// torrents returns the torrents of a release that are not dormant: its torrent and the separate v1
// torrent.
func (b backend) torrents(r *publish.Release) (list []*torrent.Torrent) {
	for _, ih := range []spate.InfoHash{r.Hash(), r.Twin.Hash} {
		if t := b.d.Session().Torrent(ih); t != nil {
			list = append(list, t)
		}
	}
	return list
}

// peer is a connected peer of a release.
type peer struct {
	torrent.PeerStats
	twin bool // the peer is only in the swarm of the separate v1 torrent
}

// peers returns the connected peers of a release. A peer that is connected in both swarms is in
// the list once.
func (b backend) peers(r *publish.Release) (list []peer) {
	at := map[spate.PeerID]int{} // index in list of the peers of the first swarm
	for _, t := range b.torrents(r) {
		twin := t.InfoHash() == r.Twin.Hash
		for _, p := range t.PeerStats() {
			if i, ok := at[p.ID]; ok && twin {
				list[i].Add(p)
				continue
			}
			if !twin {
				at[p.ID] = len(list)
			}
			list = append(list, peer{p, twin})
		}
	}
	return list
}

// Peers implements [Backend].
func (b backend) Peers(ctx context.Context, ref string) ([]Peer, error) {
	r, err := b.d.Catalog().Get(ctx, ref)
	if err != nil {
		return nil, notFound(ref, err)
	}
	return peersOf(b.peers(r)), nil
}

// peersOf converts the connected peers of a torrent.
func peersOf(list []peer) []Peer {
	out := []Peer{}
	for _, p := range list {
		have := p.Have
		if math.IsNaN(have) {
			have = 0
		}
		out = append(out, Peer{
			Addr: p.Key.String(), Client: p.Client, Transport: p.Transport.String(), Incoming: p.Incoming, Holepunched: p.Holepunched, Have: have, Uploaded: p.Uploaded, Downloaded: p.Downloaded,
			UpRate: math.Round(p.UpRate), DownRate: math.Round(p.DownRate), Interested: p.Interested, Unchoked: p.Unchoked, Twin: p.twin,
		})
	}
	return out
}

// Snapshot implements [Backend].
func (b backend) Snapshot(ctx context.Context) (Snapshot, error) {
	list, _, err := b.d.Catalog().List(ctx, publish.Query{All: true})
	if err != nil {
		return Snapshot{}, toAPI(err)
	}
	s := Snapshot{Time: b.d.Now().UTC(), Releases: make([]Row, 0, len(list))}
	for _, r := range list {
		row := Row{Ref: r.Ref(), TotalLength: r.Size, Live: b.live(ctx, r), Counts: b.d.Totals(r)}
		s.Releases = append(s.Releases, row)
		t := &s.Totals
		t.Releases, t.Peers, t.Seeders, t.Leechers = t.Releases+1, t.Peers+row.Peers, t.Seeders+row.Seeders, t.Leechers+row.Leechers
		t.Delivery = t.Delivery.Add(row.Counts.Delivery(r.Size, r.NumFiles))
		t.UpRate, t.DownRate = t.UpRate+row.UpRate, t.DownRate+row.DownRate
		switch row.State {
		case publish.StatePaused:
			t.Paused++
		case publish.StateFailed:
			t.Failed++
		}
	}
	s.Totals.Counts, err = b.d.Catalog().Total(ctx, spate.InfoHash{})
	return s, toAPI(err)
}

// Publish implements [Backend].
func (b backend) Publish(ctx context.Context, p Publish, each func(Event)) error {
	if who := daemon.AccessOf(ctx); len(p.Paths) > 0 && !who.Scopes.Has(apitoken.Admin) {
		if err := b.d.MayChoose(p.Paths...); err != nil {
			return toAPI(err)
		}
	}
	r := p.request()
	var told time.Time
	r.Progress = func(path string, g maker.Progress) {
		if now := time.Now(); now.Sub(told) >= progressEvery || g.Done == g.Total {
			told = now
			each(Event{Event: "progress", Path: path, Done: g.Done, Total: g.Total, Rate: g.Rate})
		}
	}
	r.Skipped = func(path string, s maker.Skipped) {
		each(Event{Event: "skipped", Path: filepath.Join(path, filepath.FromSlash(s.Path)), Reason: string(s.Reason)})
	}
	r.Waiting = func(path string) { each(Event{Event: "waiting", Path: path}) }
	r.Unmatched = func(u maker.Unmatched) {
		each(Event{Event: "unmatched", Pattern: u.Pattern, Include: u.Include})
	}
	return toAPI(b.d.Publish(ctx, r, func(path string, r *publish.Release) error {
		told = time.Time{}
		i, err := b.d.Info(ctx, r)
		if err != nil {
			return err
		}
		warnings, err := b.d.Exceeded(ctx, r)
		if err != nil {
			return err
		}
		summary := i.Summary()
		each(Event{Event: "published", Path: path, Release: &summary, Warnings: warnings})
		return nil
	}))
}

// progressEvery is the minimum time between two progress events of a path.
const progressEvery = 250 * time.Millisecond

// Change implements [Backend].
func (b backend) Change(ctx context.Context, ref string, c Change) error {
	return toAPI(b.d.Change(ctx, ref, daemon.Change{Paused: c.Paused, Group: c.Group, Notes: c.Notes}))
}

// Withdraw implements [Backend].
func (b backend) Withdraw(ctx context.Context, ref string) error {
	return toAPI(b.d.Withdraw(ctx, ref))
}

// Backup implements [Backend].
func (b backend) Backup(ctx context.Context, path string) error { return toAPI(b.d.Backup(ctx, path)) }

// OpenBackup implements [Backend].
func (b backend) OpenBackup(ctx context.Context) (io.ReadCloser, int64, error) {
	c, size, err := b.d.OpenBackup(ctx)
	return c, size, toAPI(err)
}

// DialBack implements [Backend].
func (b backend) DialBack(ctx context.Context) reach.DialBack { return b.d.DialBack(ctx) }

// codes maps the codes of package fault to codes of the API. All other codes become [Failed].
var codes = map[fault.Code]string{
	fault.NotFound: NotFound, fault.Exists: Exists, fault.Usage: BadRequest, fault.BadData: BadData, fault.DiskFull: DiskFull,
	fault.Network: Unreachable, fault.NoPeers: NoPeers,
}

// toAPI converts err to an [*Error]. It returns nil if err is nil.
func toAPI(err error) error {
	if err == nil {
		return nil
	}
	code := codes[fault.CodeOf(err)]
	if code == "" {
		code = Failed
	}
	return &Error{Code: code, Message: strings.TrimSpace(fault.Message(err)), Hint: fault.HintOf(err)}
}

// Files implements [Backend].
func (b backend) Files() fileserver.Source { return b.d.Files() }
