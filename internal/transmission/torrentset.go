package transmission

import (
	"context"
	"fmt"
	"strings"

	"spate/internal/daemon"
	"spate/internal/units"
)

// setKeys are the parameters of torrent_set.
var setKeys = []string{
	"ids", "download_limit", "download_limited", "upload_limit", "upload_limited", "labels", "location", "queue_position", "seed_ratio_limit", "seed_ratio_mode",
	"seed_idle_limit", "seed_idle_mode", "sequential_download", "honors_session_limits", "files_wanted", "files_unwanted", "priority_high", "priority_low", "priority_normal",
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
	goal, err := p.goal("seed_ratio", i.Ratio)
	if err != nil {
		return c, err
	}
	c.Ratio = goal
	idle, err := p.goal("seed_idle", float64(i.SeedIdle)/secondsOfIdle)
	if err == nil && idle != nil {
		c.SeedIdle = ptr(int64(min(*idle, maxIdle) * secondsOfIdle))
	}
	return c, err
}

const (
	secondsOfIdle = 60  // in the unit of seed_idle_limit
	maxIdle       = 1e9 // minutes
)

// goal returns the goal that NAME_limit and NAME_mode ask for, 0 for none, or nil for no change. now is
// the present one.
func (p params) goal(name string, now float64) (*float64, error) {
	var limit float64
	hasLimit, err := p.get(name+"_limit", &limit)
	if err != nil {
		return nil, err
	}
	mode := modeSingle
	hasMode, err := p.get(name+"_mode", &mode)
	switch {
	case err != nil:
		return nil, err
	case hasMode && mode != modeSingle:
		return ptr(0.0), nil
	case hasLimit && (hasMode || now > 0):
		if limit < 0 {
			return nil, badParams("%s_limit is negative", name)
		}
		return &limit, nil
	}
	return nil, nil
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
