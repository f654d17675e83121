package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"spate/internal/daemon"
)

// Torrents returns added torrents, in the order of the queue.
func (c *Client) Torrents(ctx context.Context, l daemon.TorrentList) (t Torrents, err error) {
	q := url.Values{}
	for k, v := range map[string]string{"q": l.Text, "label": l.Label, "state": l.State} {
		if v != "" {
			q.Set(k, v)
		}
	}
	for k, n := range map[string]int{"offset": l.Offset, "limit": l.Limit} {
		if n != 0 {
			q.Set(k, strconv.Itoa(n))
		}
	}
	return t, c.call(ctx, http.MethodGet, "/v1/torrents?"+q.Encode(), nil, &t)
}

func torrentPath(ref string) string { return "/v1/torrents/" + url.PathEscape(ref) }

// Torrent returns the torrent ref with its files and trackers.
func (c *Client) Torrent(ctx context.Context, ref string) (d daemon.TorrentDetails, err error) {
	return d, c.call(ctx, http.MethodGet, torrentPath(ref), nil, &d)
}

// TorrentPeers returns the connections of a torrent.
func (c *Client) TorrentPeers(ctx context.Context, ref string) (p []Peer, err error) {
	return p, c.call(ctx, http.MethodGet, torrentPath(ref)+"/peers", nil, &p)
}

// AddTorrent adds a torrent.
func (c *Client) AddTorrent(ctx context.Context, t AddTorrent) (i daemon.TorrentInfo, err error) {
	return i, c.call(ctx, http.MethodPost, "/v1/torrents", t, &i)
}

// ImportTorrent adds a torrent of another program.
func (c *Client) ImportTorrent(ctx context.Context, t ImportTorrent) (i daemon.Imported, err error) {
	return i, c.call(ctx, http.MethodPost, "/v1/import", t, &i)
}

// ChangeTorrent changes a torrent.
func (c *Client) ChangeTorrent(ctx context.Context, ref string, ch daemon.TorrentChange) error {
	return c.call(ctx, http.MethodPatch, torrentPath(ref), ch, nil)
}

// RemoveTorrent removes a torrent, and its data if data is set.
func (c *Client) RemoveTorrent(ctx context.Context, ref string, data bool) error {
	return c.call(ctx, http.MethodDelete, torrentPath(ref)+"?data="+strconv.FormatBool(data), nil, nil)
}

// MoveTorrent moves the data of a torrent to the directory dir, an absolute path.
func (c *Client) MoveTorrent(ctx context.Context, ref, dir string) error {
	return c.call(ctx, http.MethodPost, torrentPath(ref)+"/move", Move{dir}, nil)
}

// RecheckTorrent makes the daemon check all data of a torrent again.
func (c *Client) RecheckTorrent(ctx context.Context, ref string) error {
	return c.call(ctx, http.MethodPost, torrentPath(ref)+"/recheck", nil, nil)
}

// ReannounceTorrent makes the daemon announce a torrent again.
func (c *Client) ReannounceTorrent(ctx context.Context, ref string) error {
	return c.call(ctx, http.MethodPost, torrentPath(ref)+"/reannounce", nil, nil)
}
