package api

import (
	"context"

	"spate/internal/daemon"
)

// Torrents implements [TorrentBackend].
func (b backend) Torrents(_ context.Context, l daemon.TorrentList) (Torrents, error) {
	t, err := b.d.Torrents()
	if err != nil {
		return Torrents{Torrents: []daemon.TorrentInfo{}}, nil
	}
	list, total := t.List(l)
	return Torrents{total, list}, nil
}

// Torrent implements [TorrentBackend].
func (b backend) Torrent(_ context.Context, ref string) (d daemon.TorrentDetails, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		d, err = t.Details(ref)
		return err
	})
	return d, err
}

// TorrentPeers implements [TorrentBackend].
func (b backend) TorrentPeers(_ context.Context, ref string) ([]Peer, error) {
	var list []peer
	err := b.torrentsDo(func(t *daemon.Torrents) error {
		tor, err := t.Engine(ref)
		if err != nil || tor == nil {
			return err
		}
		for _, p := range tor.PeerStats() {
			list = append(list, peer{p, false})
		}
		return nil
	})
	return peersOf(list), err
}

// AddTorrent implements [TorrentBackend].
func (b backend) AddTorrent(ctx context.Context, a AddTorrent) (i daemon.TorrentInfo, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		i, err = t.Add(ctx, daemon.AddRequest{
			Source: a.Source, Torrent: a.Torrent, Magnet: a.Magnet, Direct: a.Direct, Dir: a.Dir, Paused: a.Paused, Key: a.Key,
			TorrentOptions: a.TorrentOptions, Remote: b.remote,
		})
		return err
	})
	return i, err
}

// ImportTorrent implements [TorrentBackend].
func (b backend) ImportTorrent(ctx context.Context, q ImportTorrent) (i daemon.Imported, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		add := daemon.AddRequest{Source: q.Magnet, Torrent: q.Torrent, Dir: q.Dir, Paused: q.Paused, TorrentOptions: q.TorrentOptions, Remote: b.remote}
		i, err = t.Import(ctx, daemon.ImportRequest{AddRequest: add, Kept: q.Kept})
		return err
	})
	return i, err
}

// ChangeTorrent implements [TorrentBackend].
func (b backend) ChangeTorrent(ctx context.Context, ref string, c daemon.TorrentChange) error {
	return b.torrentsDo(func(t *daemon.Torrents) error { return t.Change(ctx, ref, c) })
}

// RemoveTorrent implements [TorrentBackend].
func (b backend) RemoveTorrent(ctx context.Context, ref string, data bool) error {
	return b.torrentsDo(func(t *daemon.Torrents) error { return t.Remove(ctx, ref, data) })
}

// MoveTorrent implements [TorrentBackend].
func (b backend) MoveTorrent(ctx context.Context, ref, dir string) error {
	return b.torrentsDo(func(t *daemon.Torrents) error { return t.Move(ctx, ref, dir, b.remote) })
}

// RecheckTorrent implements [TorrentBackend].
func (b backend) RecheckTorrent(ctx context.Context, ref string) error {
	return b.torrentsDo(func(t *daemon.Torrents) error { return t.Recheck(ctx, ref) })
}

// ReannounceTorrent implements [TorrentBackend].
func (b backend) ReannounceTorrent(ctx context.Context, ref string) error {
	return b.torrentsDo(func(t *daemon.Torrents) error { return t.Reannounce(ctx, ref) })
}

// torrentsDo calls f with the added torrents, and converts its error.
func (b backend) torrentsDo(f func(*daemon.Torrents) error) error {
	t, err := b.d.Torrents()
	if err == nil {
		err = f(t)
	}
	return toAPI(err)
}
