package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/source"
	"spate/metainfo"
	"spate/signature"
)

// AddRequest asks for a torrent: see [Torrents.Add].
type AddRequest struct {
	Source  string // an http(s) URL, a magnet link or an info-hash; ignored if Torrent is set
	Torrent []byte // the .torrent
	Magnet  string // the magnet link that Torrent comes from, or ""
	Direct  string // URL of the data at the server of Torrent, a last resort; or ""
	Dir     string // absolute path of the directory for the data; empty: that of the label
	Paused  bool
	// Key is the minisign key that must have signed the torrent; "off" accepts all. Empty: that of
	// the site of Source, if it is known. A Torrent is not checked: its sender has.
	Key string
	TorrentOptions

	// Remote says that the caller is not on this machine. It may then make requests only to public
	// addresses, and choose only directories in the folders for downloads.
	Remote bool
	// Feed is the name of the feed that names the torrent, and Within where its URLs may lead. The user
	// has not named them, so that peers in a magnet link are ignored.
	Feed   string
	Within netguard.Reach // 0: by Remote
}

// addLimit bounds the time in which the .torrent of a URL must be fetched.
const addLimit = 90 * time.Second

// Add adds a torrent. When it returns, the torrent is on the disk. The daemon reads no file that a
// request names: the caller sends its content. If the torrent was added before, Add returns it with an
// error that has the code [fault.Exists].
func (t *Torrents) Add(ctx context.Context, q AddRequest) (TorrentInfo, error) {
	if err := q.TorrentOptions.Check(); err != nil {
		return TorrentInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, addLimit)
	defer cancel()
	r, b, err := t.recordOf(ctx, &q)
	if err != nil {
		return TorrentInfo{}, err
	}
	if err := t.checkNew(r); err != nil {
		return t.infoOf(r.InfoHash), err
	}
	if r.Dir, r.Within, err = t.folders.choose(q.Dir, q.Label, q.Remote); err != nil {
		return TorrentInfo{}, err
	}
	e, err := t.enter(r, b)
	if err != nil {
		return t.infoOf(r.InfoHash), err
	}
	t.tell("added", e)
	t.wake()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.infoLocked(e), nil
}

// recordOf finds the torrent of a request. b is its .torrent, or nil if only peers have it.
func (t *Torrents) recordOf(ctx context.Context, q *AddRequest) (r *torrentRecord, b []byte, err error) {
	within := netguard.ToChosen
	if q.Remote {
		within = netguard.ToPublic
	}
	if q.Within != 0 {
		within = q.Within
	}
	foreign := q.Remote || q.Within != 0
	src := &source.Source{Arg: "the torrent", Torrent: q.Torrent, Magnet: q.Magnet, Direct: q.Direct}
	if q.Torrent == nil {
		if src, err = t.sources.ResolveLink(ctx, q.Source, within); err != nil {
			return nil, nil, err
		}
		if err := t.sources.FetchTorrent(ctx, src); err != nil {
			return nil, nil, err
		}
		if err := t.checkSignature(ctx, src, q.Key); err != nil {
			return nil, nil, err
		}
	}
	r = &torrentRecord{Magnet: src.Magnet, Direct: src.Direct, TorrentOptions: q.TorrentOptions, Paused: q.Paused, Feed: q.Feed, Added: t.env.Now().UTC().Truncate(time.Second)}
	if src.Torrent == nil {
		return r, nil, r.ofMagnet(foreign)
	}
	mi, err := src.Parse()
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.priorities(mi, r.Magnet); err != nil {
		return nil, nil, err
	}
	r.InfoHash = mi.Hash()
	if !foreign {
		r.Peers = src.Peers(mi)
	}
	r.describe(mi)
	return r, src.Torrent, nil
}

// checkSignature checks the signature of a torrent from a URL.
func (t *Torrents) checkSignature(ctx context.Context, src *source.Source, key string) error {
	trust, check, err := trustOf(key, t.state)
	if err != nil || !check {
		return err
	}
	return t.sources.CheckSignature(ctx, src, trust)
}

// ofMagnet fills r from its magnet link. The peers of a link from another machine are ignored,
// because the user has not named them.
func (r *torrentRecord) ofMagnet(remote bool) error {
	link, err := metainfo.ParseMagnet(r.Magnet)
	if err != nil {
		return &fault.Error{Code: fault.BadData, Err: err}
	}
	r.InfoHash = link.Hash()
	r.Name, r.Length, r.Trackers = link.Name, link.Length, len(link.Trackers)
	if r.Name == "" {
		r.Name = r.InfoHash.String()
	}
	if remote && len(link.Peers) > 0 {
		link.Peers = nil
		r.Magnet = link.String()
	}
	return nil
}

// checkNew returns an error if the torrent of r is known here.
func (t *Torrents) checkNew(r *torrentRecord) error {
	t.mu.Lock()
	other := t.by[r.InfoHash]
	t.mu.Unlock()
	if other != nil {
		return errTorrentTwice(r.Name)
	}
	if ref := t.taken(r.InfoHash); ref != "" {
		return fault.New(fault.Exists, "", "%s is the release %s, which is published here", r.Name, ref)
	}
	return nil
}

// infoOf describes the torrent with an info-hash, or returns the zero TorrentInfo if it was not added.
func (t *Torrents) infoOf(ih spate.InfoHash) TorrentInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.by[ih]; e != nil {
		return t.infoLocked(e)
	}
	return TorrentInfo{}
}

func errTorrentTwice(name string) error {
	return fault.New(fault.Exists, "spate status shows it", "%s was added already", name)
}

// enter writes r and adds it to the end of the queue.
func (t *Torrents) enter(r *torrentRecord, b []byte) (*addedTorrent, error) {
	if b != nil {
		if err := t.store.saveTorrent(r.InfoHash, b); err != nil {
			return nil, err
		}
	}
	if err := t.reserve(r); err != nil {
		return nil, err
	}
	err := t.store.save(r)
	e := &addedTorrent{rec: *r}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.entering, r.InfoHash)
	if err != nil {
		return nil, fault.WithSetting(fmt.Errorf("the torrent cannot be recorded: %w", err), "state")
	}
	t.by[r.InfoHash] = e
	at := len(t.order)
	for at > 0 && t.order[at-1].rec.Place > r.Place { // of a request that came later and was quicker
		at--
	}
	t.order = slices.Insert(slices.Clip(t.order), at, e)
	return e, nil
}

// reserve gives r the last place of the queue, and makes sure that only one request enters its torrent.
func (t *Torrents) reserve(r *torrentRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[r.InfoHash] != nil || t.entering[r.InfoHash] { // a request at the same time
		return errTorrentTwice(r.Name)
	}
	if n := len(t.order); n > 0 {
		t.last = max(t.last, t.order[n-1].rec.Place+1)
	}
	r.Place = t.last
	t.last++
	t.entering[r.InfoHash] = true
	return nil
}

// trustOf returns how a signature is checked by the value of --verify-key, and whether it is.
func trustOf(key, state string) (trust source.Trust, check bool, err error) {
	trust.State = state
	switch key {
	case "":
		return trust, true, nil
	case "off":
		return trust, false, nil
	}
	k, err := signature.ParsePublicKey(key)
	if err != nil {
		return trust, true, fault.Usagef("the key: %w", err)
	}
	trust.Key = &k
	return trust, true, nil
}
