package transmission

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// params are the parameters of a request, with the keys of 4.1.
type params map[string]json.RawMessage

// get decodes the parameter name into to. It reports whether there is one.
func (p params) get(name string, to any) (bool, error) {
	raw, ok := p[name]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return false, badParams("%s: %v", name, err)
	}
	return true, nil
}

// isZero reports whether a parameter has the value that asks for nothing: null, 0, false, or an empty
// text or list.
func isZero(raw json.RawMessage) bool {
	switch strings.TrimSpace(string(raw)) {
	case "null", "0", "false", `""`, "[]", "0.0", "{}":
		return true
	}
	return false
}

// only returns an error for a parameter that is not in known, unless it asks for nothing.
func (p params) only(known ...string) error {
	for name, raw := range p {
		if !slices.Contains(known, name) && !isZero(raw) {
			return unsupported(name, "the parameter has no equivalent")
		}
	}
	return nil
}

// torrentGet answers torrent_get.
func (s *Server) torrentGet(_ context.Context, p params, old bool) (object, error) {
	var asked []string
	if _, err := p.get("fields", &asked); err != nil {
		return nil, err
	}
	var format string
	if _, err := p.get("format", &format); err != nil {
		return nil, err
	}
	if asked == nil {
		return nil, badParams("fields is missing")
	}
	sel, err := s.choose(p["ids"])
	if err != nil {
		return nil, err
	}
	list := make([]object, 0, len(sel.list))
	for i := range sel.list {
		v := &view{s: s, i: &sel.list[i]}
		o := make(object, len(asked))
		for _, name := range asked {
			if f, ok := fieldOf[snake(name)]; ok {
				o[snake(name)] = f(v)
			}
		}
		list = append(list, o)
	}
	if old {
		list = oldTorrents(list, asked)
	}
	out := object{}
	if sel.recent {
		out["removed"] = s.ids.gone()
	}
	if format == "table" {
		out["torrents"] = table(list, asked)
	} else {
		out["torrents"] = list
	}
	return out, nil
}

// each calls f for each torrent that a request names, and returns the first error after all of them.
func (s *Server) each(p params, f func(i *daemon.TorrentInfo) error) error {
	sel, err := s.choose(p["ids"])
	if err != nil {
		return err
	}
	var first error
	for i := range sel.list {
		if err := f(&sel.list[i]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func ptr[T any](v T) *T { return &v }

func (s *Server) torrentStart(ctx context.Context, p params) (object, error) {
	return nil, s.each(p, func(i *daemon.TorrentInfo) error {
		return s.torrents.Change(ctx, i.InfoHash, daemon.TorrentChange{Paused: ptr(false)})
	})
}

// torrentStartNow starts torrents at the front of the queue.
func (s *Server) torrentStartNow(ctx context.Context, p params) (object, error) {
	return nil, s.each(p, func(i *daemon.TorrentInfo) error {
		return s.torrents.Change(ctx, i.InfoHash, daemon.TorrentChange{Paused: ptr(false), Place: ptr(0)})
	})
}

func (s *Server) torrentStop(ctx context.Context, p params) (object, error) {
	return nil, s.each(p, func(i *daemon.TorrentInfo) error {
		return s.torrents.Change(ctx, i.InfoHash, daemon.TorrentChange{Paused: ptr(true)})
	})
}

func (s *Server) torrentVerify(ctx context.Context, p params) (object, error) {
	return nil, s.each(p, func(i *daemon.TorrentInfo) error { return s.torrents.Recheck(ctx, i.InfoHash) })
}

// torrentReannounce announces torrents again. Those that do not run are left out, as by
// Transmission.
func (s *Server) torrentReannounce(ctx context.Context, p params) (object, error) {
	return nil, s.each(p, func(i *daemon.TorrentInfo) error {
		if status(i) == statusStopped {
			return nil
		}
		return s.torrents.Reannounce(ctx, i.InfoHash)
	})
}

func (s *Server) torrentRemove(ctx context.Context, p params) (object, error) {
	var data bool
	if _, err := p.get("delete_local_data", &data); err != nil {
		return nil, err
	}
	if len(p["ids"]) == 0 {
		return nil, badParams("ids is missing") // all torrents by mistake would be too many
	}
	return nil, s.each(p, func(i *daemon.TorrentInfo) error { return s.torrents.Remove(ctx, i.InfoHash, data) })
}

func (s *Server) torrentSetLocation(ctx context.Context, p params) (object, error) {
	var dir string
	var move bool
	if _, err := p.get("location", &dir); err != nil {
		return nil, err
	}
	if _, err := p.get("move", &move); err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, badParams("location is missing")
	}
	if !move {
		return nil, unsupported("move: false", "the data of a torrent is found where it was stored; with move: true it is moved")
	}
	return nil, s.each(p, func(i *daemon.TorrentInfo) error { return s.torrents.Move(ctx, i.InfoHash, dir, true) })
}

// torrentAdd answers torrent_add.
func (s *Server) torrentAdd(ctx context.Context, p params) (object, error) {
	var q struct {
		filename, metainfo, dir string
		paused, sequential      bool
		labels                  []string
	}
	q.paused = s.addPaused.Load()
	for name, to := range map[string]any{
		"filename": &q.filename, "metainfo": &q.metainfo, "download_dir": &q.dir, "paused": &q.paused, "labels": &q.labels, "sequential_download": &q.sequential,
	} {
		if _, err := p.get(name, to); err != nil {
			return nil, err
		}
	}
	if err := p.only("filename", "metainfo", "download_dir", "paused", "labels", "sequential_download", "files_wanted", "files_unwanted", "priority_high", "priority_low", "priority_normal"); err != nil {
		return nil, err
	}
	r := daemon.AddRequest{Source: q.filename, Dir: q.dir, Paused: q.paused, Remote: true}
	r.Sequential = q.sequential
	var err error
	if r.Label, err = oneLabel(q.labels); err != nil {
		return nil, err
	}
	if q.metainfo != "" {
		if r.Torrent, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(q.metainfo), "")); err != nil {
			return nil, badParams("metainfo is not in base64: %v", err)
		}
	}
	if q.metainfo == "" && q.filename == "" {
		return nil, badParams("neither filename nor metainfo is there")
	}
	changes := map[string][]int{}
	for _, name := range fileKeys {
		var list []int
		if ok, err := p.get(name, &list); err != nil {
			return nil, err
		} else if ok && len(list) > 0 {
			changes[name] = list
		}
	}
	if len(changes) > 0 {
		r.Paused = true // until the files are chosen
	}
	info, err := s.torrents.Add(ctx, r)
	key := "torrent_added"
	if fault.CodeOf(err) == fault.Exists && info.InfoHash != "" {
		key, err = "torrent_duplicate", nil
	}
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 && key == "torrent_added" {
		if err := s.setFiles(ctx, &info, changes); err != nil {
			return nil, err
		}
		if !q.paused {
			if err := s.torrents.Change(ctx, info.InfoHash, daemon.TorrentChange{Paused: ptr(false)}); err != nil {
				return nil, err
			}
		}
	}
	all, _ := s.torrents.List(daemon.TorrentList{})
	s.ids.update(all, s.opt.Now())
	return object{key: object{"id": s.ids.id(info.InfoHash), "name": info.Name, "hash_string": info.InfoHash}}, nil
}

// oneLabel returns the label of a torrent, which has at most one.
func oneLabel(labels []string) (string, error) {
	switch len(labels) {
	case 0:
		return "", nil
	case 1:
		return labels[0], nil
	}
	return "", unsupported("several labels", "a torrent has one")
}

// queueMove returns the handler that moves torrents in the queue. to returns the new position of a
// torrent at position at of n.
func (s *Server) queueMove(reverse bool, to func(at, n int) int) method {
	return func(ctx context.Context, p params) (object, error) {
		all, total := s.torrents.List(daemon.TorrentList{})
		at := map[string]int{}
		for n := range all {
			at[all[n].InfoHash] = n
		}
		sel, err := s.choose(p["ids"])
		if err != nil {
			return nil, err
		}
		if reverse {
			slices.Reverse(sel.list)
		}
		for n := range sel.list {
			h := sel.list[n].InfoHash
			if err := s.torrents.Change(ctx, h, daemon.TorrentChange{Place: ptr(min(max(to(at[h], total), 0), total-1))}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
}
