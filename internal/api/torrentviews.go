package api

import (
	"context"
	"net/http"

	"spate/internal/daemon"
)

// Folders are the folders for downloads: GET /v1/folders.
type Folders struct {
	Folders []daemon.FolderSpace `json:"folders"` // the first is that of torrents without a label
}

// TorrentViews is the part of a [Backend] that shows more of a torrent than lists do, also before it is added.
type TorrentViews interface {
	// PreviewTorrent returns the torrent of a request without adding it.
	PreviewTorrent(ctx context.Context, t AddTorrent) (daemon.TorrentPreview, error)
	TorrentPieces(ctx context.Context, ref string) (daemon.TorrentPieces, error)
	TorrentHistory(ctx context.Context, ref string) (daemon.TorrentHistory, error)
	Folders(ctx context.Context) (Folders, error)
}

func (s *Server) previewTorrent(w http.ResponseWriter, r *http.Request) error {
	t, err := readAdd(r)
	if err != nil {
		return err
	}
	v, err := s.backend.PreviewTorrent(r.Context(), t)
	return send(w, r, v, err)
}

func (s *Server) torrentPieces(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.TorrentPieces(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}

func (s *Server) torrentHistory(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.TorrentHistory(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}

func (s *Server) folders(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Folders(r.Context())
	return send(w, r, v, err)
}

// PreviewTorrent implements [TorrentViews].
func (b backend) PreviewTorrent(ctx context.Context, a AddTorrent) (p daemon.TorrentPreview, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		p, err = t.Preview(ctx, daemon.AddRequest{Source: a.Source, Torrent: a.Torrent, Magnet: a.Magnet, Direct: a.Direct, Key: a.Key, Remote: b.remote})
		return err
	})
	return p, err
}

// TorrentPieces implements [TorrentViews].
func (b backend) TorrentPieces(_ context.Context, ref string) (p daemon.TorrentPieces, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		p, err = t.Pieces(ref)
		return err
	})
	return p, err
}

// TorrentHistory implements [TorrentViews].
func (b backend) TorrentHistory(_ context.Context, ref string) (h daemon.TorrentHistory, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) (err error) {
		h, err = t.History(ref)
		return err
	})
	return h, err
}

// Folders implements [TorrentViews].
func (b backend) Folders(context.Context) (f Folders, err error) {
	err = b.torrentsDo(func(t *daemon.Torrents) error {
		f.Folders = t.FolderSpaces()
		return nil
	})
	return f, err
}
