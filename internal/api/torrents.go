package api

import (
	"context"
	"net/http"

	"spate/internal/daemon"
	"spate/internal/takeover"
	"spate/internal/torrentfile"
)

// AddTorrent asks for a torrent: POST /v1/torrents. Either Source or Torrent is set.
type AddTorrent struct {
	Source  string `json:"source,omitempty"`  // an http(s) URL, a magnet link or an info-hash; never a path
	Torrent []byte `json:"torrent,omitempty"` // the .torrent, in base64
	Magnet  string `json:"magnet,omitempty"`  // the magnet link that Torrent comes from
	Direct  string `json:"direct,omitempty"`  // URL of the data at the server that Torrent comes from
	Dir     string `json:"dir,omitempty"`     // absolute path of the directory for the data
	Paused  bool   `json:"paused,omitempty"`
	Key     string `json:"key,omitempty"` // minisign key that must have signed the torrent; "off" accepts all
	daemon.TorrentOptions
}

// ImportTorrent asks for a torrent of another program: POST /v1/import. Torrent and Magnet are those
// of [AddTorrent]; either is set, and so is Dir.
type ImportTorrent struct {
	Torrent []byte        `json:"torrent,omitempty"`
	Magnet  string        `json:"magnet,omitempty"`
	Dir     string        `json:"dir"`
	Paused  bool          `json:"paused,omitempty"`
	Kept    takeover.Kept `json:"kept"`
	daemon.TorrentOptions
}

// Torrents is a page of the list of added torrents: GET /v1/torrents.
type Torrents struct {
	Total    int                  `json:"total"`
	Torrents []daemon.TorrentInfo `json:"torrents"`
}

// Move asks for the move of the data of a torrent: POST /v1/torrents/{ref}/move.
type Move struct {
	Dir string `json:"dir"` // absolute path
}

// TorrentBackend is the part of a [Backend] with the added torrents.
type TorrentBackend interface {
	Torrents(ctx context.Context, l daemon.TorrentList) (Torrents, error)
	Torrent(ctx context.Context, ref string) (daemon.TorrentDetails, error)
	TorrentPeers(ctx context.Context, ref string) ([]Peer, error)
	AddTorrent(ctx context.Context, t AddTorrent) (daemon.TorrentInfo, error)
	ImportTorrent(ctx context.Context, t ImportTorrent) (daemon.Imported, error)
	ChangeTorrent(ctx context.Context, ref string, c daemon.TorrentChange) error
	RemoveTorrent(ctx context.Context, ref string, data bool) error
	MoveTorrent(ctx context.Context, ref, dir string) error
	RecheckTorrent(ctx context.Context, ref string) error
	ReannounceTorrent(ctx context.Context, ref string) error
	TorrentViews
}

// maxAdd limits the size of a request with a .torrent in base64, in bytes.
const maxAdd = torrentfile.MaxSize/3*4 + maxBody

// maxImport limits the size of a request with a .torrent and what another program knows of its data,
// in bytes.
const maxImport = maxAdd + 32<<20

func (s *Server) torrents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	l := daemon.TorrentList{Text: q.Get("q"), Label: q.Get("label"), State: q.Get("state")}
	if err := readPage(q, &l.Offset, &l.Limit); err != nil {
		return err
	}
	v, err := s.backend.Torrents(r.Context(), l)
	page{l.Offset, l.Limit}.link(w, r, v.Total)
	return send(w, r, v, err)
}

func (s *Server) torrent(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Torrent(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}

func (s *Server) torrentPeers(w http.ResponseWriter, r *http.Request) error {
	p, err := readPageOf(r)
	if err != nil {
		return err
	}
	v, err := s.backend.TorrentPeers(r.Context(), r.PathValue("ref"))
	return send(w, r, cut(w, r, v, p), err)
}

// readAdd reads a request for a torrent.
func readAdd(r *http.Request) (t AddTorrent, err error) {
	if err := readUpTo(r, &t, maxAdd); err != nil {
		return t, err
	}
	if (t.Source == "") == (len(t.Torrent) == 0) {
		return t, &Error{Code: BadRequest, Message: "the request must have either a source or a torrent"}
	}
	return t, nil
}

func (s *Server) addTorrent(w http.ResponseWriter, r *http.Request) error {
	t, err := readAdd(r)
	if err != nil {
		return err
	}
	v, err := s.backend.AddTorrent(r.Context(), t)
	return send(w, r, v, err)
}

func (s *Server) importTorrent(w http.ResponseWriter, r *http.Request) error {
	var t ImportTorrent
	if err := readUpTo(r, &t, maxImport); err != nil {
		return err
	}
	if (t.Magnet == "") == (len(t.Torrent) == 0) || t.Dir == "" {
		return &Error{Code: BadRequest, Message: "the request must have a directory, and either a magnet link or a torrent"}
	}
	v, err := s.backend.ImportTorrent(r.Context(), t)
	return send(w, r, v, err)
}

func (s *Server) changeTorrent(w http.ResponseWriter, r *http.Request) error {
	var c daemon.TorrentChange
	if err := read(r, &c); err != nil {
		return err
	}
	ref := r.PathValue("ref")
	if err := unchanged(r, func() (daemon.TorrentDetails, error) { return s.backend.Torrent(r.Context(), ref) }); err != nil {
		return err
	}
	return done(w, s.backend.ChangeTorrent(r.Context(), ref, c))
}

func (s *Server) removeTorrent(w http.ResponseWriter, r *http.Request) error {
	data := r.URL.Query().Get("data")
	if data != "" && data != "true" && data != "false" {
		return &Error{Code: BadRequest, Message: "data is neither true nor false"}
	}
	return done(w, s.backend.RemoveTorrent(r.Context(), r.PathValue("ref"), data == "true"))
}

func (s *Server) moveTorrent(w http.ResponseWriter, r *http.Request) error {
	var m Move
	if err := read(r, &m); err != nil {
		return err
	}
	return done(w, s.backend.MoveTorrent(r.Context(), r.PathValue("ref"), m.Dir))
}

func (s *Server) recheckTorrent(w http.ResponseWriter, r *http.Request) error {
	return done(w, s.backend.RecheckTorrent(r.Context(), r.PathValue("ref")))
}

func (s *Server) reannounceTorrent(w http.ResponseWriter, r *http.Request) error {
	return done(w, s.backend.ReannounceTorrent(r.Context(), r.PathValue("ref")))
}
