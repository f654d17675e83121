package transmission

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/units"
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

// setKeys are the parameters of torrent_set.
var setKeys = []string{
	"ids", "download_limit", "download_limited", "upload_limit", "upload_limited", "labels", "location", "queue_position", "seed_ratio_limit", "seed_ratio_mode",
	"seed_idle_mode", "sequential_download", "honors_session_limits", "files_wanted", "files_unwanted", "priority_high", "priority_low", "priority_normal",
}

// torrentSet answers torrent_set.
func (s *Server) torrentSet(ctx context.Context, p params) (object, error) {
	if err := p.only(setKeys...); err != nil {
		return nil, err
	}
	var honors = true
	if _, err := p.get("honors_session_limits", &honors); err != nil {
		return nil, err
	}
	if !honors {
		return nil, unsupported("honors_session_limits: false", "the limits of the session are those of the line")
	}
	var idle int
	if ok, err := p.get("seed_idle_mode", &idle); err != nil {
		return nil, err
	} else if ok && idle == modeSingle {
		return nil, unsupported("seed_idle_mode", "a torrent has goals for its ratio and its time")
	}
	var dir string
	if _, err := p.get("location", &dir); err != nil {
		return nil, err
	}
	files := map[string][]int{}
	for _, name := range fileKeys {
		var list []int
		if ok, err := p.get(name, &list); err != nil {
			return nil, err
		} else if ok {
			files[name] = list
		}
	}
	return nil, s.each(p, func(i *daemon.TorrentInfo) error {
		c, err := s.change(p, i)
		if err != nil {
			return err
		}
		if err := s.torrents.Change(ctx, i.InfoHash, c); err != nil {
			return err
		}
		if len(files) > 0 {
			if err := s.setFiles(ctx, i, files); err != nil {
				return err
			}
		}
		if dir == "" {
			return nil
		}
		return s.torrents.Move(ctx, i.InfoHash, dir, true)
	})
}

// change returns the change that torrent_set asks for, of a torrent that is described by i.
func (s *Server) change(p params, i *daemon.TorrentInfo) (c daemon.TorrentChange, err error) {
	if c.Down, err = p.limit("download", i.Down); err != nil {
		return c, err
	}
	if c.Up, err = p.limit("upload", i.Up); err != nil {
		return c, err
	}
	var labels []string
	if ok, err := p.get("labels", &labels); err != nil {
		return c, err
	} else if ok {
		label, err := oneLabel(labels)
		if err != nil {
			return c, err
		}
		c.Label = &label
	}
	var place int
	if ok, err := p.get("queue_position", &place); err != nil {
		return c, err
	} else if ok {
		c.Place = &place
	}
	var inOrder bool
	if ok, err := p.get("sequential_download", &inOrder); err != nil {
		return c, err
	} else if ok {
		c.Sequential = &inOrder
	}
	var goal float64
	hasGoal, err := p.get("seed_ratio_limit", &goal)
	if err != nil {
		return c, err
	}
	mode := modeSingle
	hasMode, err := p.get("seed_ratio_mode", &mode)
	switch {
	case err != nil:
		return c, err
	case hasMode && mode != modeSingle:
		c.Ratio = ptr(0.0)
	case hasGoal && (hasMode || i.Ratio > 0):
		c.Ratio = &goal
	}
	return c, nil
}

// limit returns the limit in bytes a second that NAME_limit and NAME_limited ask for, or nil for no
// change. now is the present one.
func (p params) limit(name string, now int64) (*int64, error) {
	var rate float64
	hasRate, err := p.get(name+"_limit", &rate)
	if err != nil {
		return nil, err
	}
	var on bool
	hasOn, err := p.get(name+"_limited", &on)
	switch {
	case err != nil:
		return nil, err
	case hasOn && !on:
		return ptr(int64(0)), nil
	case hasRate && (on || now > 0):
		if rate < 0 {
			return nil, badParams("%s_limit is negative", name)
		}
		return ptr(inBytes(rate)), nil
	case on && now == 0:
		return nil, badParams("%s_limit is missing", name)
	}
	return nil, nil
}

// inBytes converts a limit in kilobytes a second. 0 is no limit here, but stops nearly all in
// Transmission.
func inBytes(rate float64) int64 { return max(1, int64(min(rate, 1e12)*kilo)) }

// fileKeys are the parameters that choose files by their index, in the order in which they apply.
var fileKeys = []string{"files_unwanted", "files_wanted", "priority_low", "priority_normal", "priority_high"}

// maxFileRules is the number of rules for files that this package gives a torrent.
const maxFileRules = 900

// setFiles changes which files of a torrent are wanted, and their priorities. An empty list stands
// for all files.
func (s *Server) setFiles(ctx context.Context, i *daemon.TorrentInfo, changes map[string][]int) error {
	d, err := s.torrents.Details(i.InfoHash)
	if err != nil {
		return err
	}
	if len(d.Files) == 0 {
		return &rpcError{codeFileIndex, "the files of " + i.Name + " are not known yet"}
	}
	want := make([]string, len(d.Files))
	for n, f := range d.Files {
		want[n] = f.Priority
	}
	for _, key := range fileKeys {
		list, ok := changes[key]
		if !ok {
			continue
		}
		if len(list) == 0 {
			for n := range want {
				list = append(list, n)
			}
		}
		for _, n := range list {
			if n < 0 || n >= len(want) {
				return &rpcError{codeFileIndex, fmt.Sprintf("file index out of range: %d", n)}
			}
			want[n] = priorityAfter(key, want[n])
		}
	}
	rules, err := fileRules(d.Files, want)
	if err != nil {
		return err
	}
	return s.torrents.Change(ctx, i.InfoHash, daemon.TorrentChange{Select: &[]string{}, Files: rules})
}

// priorityAfter returns the priority of a file with the priority now after the parameter key. A file
// that is not wanted stays so when it gets a priority.
func priorityAfter(key, now string) string {
	switch {
	case key == "files_unwanted":
		return "skip"
	case key == "files_wanted" && now == "skip":
		return "normal"
	case key == "files_wanted" || now == "skip":
		return now
	}
	return strings.TrimPrefix(key, "priority_")
}

// fileRules returns rules that give each file its priority: the most frequent one for all, and one
// rule for each other file.
func fileRules(files []daemon.TorrentFile, want []string) ([]daemon.FileRule, error) {
	count := map[string]int{}
	most := want[0]
	for _, w := range want {
		count[w]++
		if count[w] > count[most] {
			most = w
		}
	}
	if len(want)-count[most] > maxFileRules {
		return nil, unsupported("so many different files", "at most "+units.Plural(maxFileRules, "file")+" can differ from the others")
	}
	rules := []daemon.FileRule{{Pattern: "**", Priority: most}}
	for n, w := range want {
		if w != most {
			rules = append(rules, daemon.FileRule{Pattern: "/" + literal(files[n].Path), Priority: w})
		}
	}
	return rules, nil
}

// literal returns a pattern that matches a path alone.
func literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
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
