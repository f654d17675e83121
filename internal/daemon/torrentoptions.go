package daemon

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"spate/internal/fault"
	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// TorrentOptions are the options of an added torrent that its user sets.
type TorrentOptions struct {
	Label      string     `json:"label,omitempty"`
	Select     []string   `json:"select,omitempty"` // patterns of the files to fetch; none: all
	Files      []FileRule `json:"files,omitempty"`  // priorities of files; the last rule that matches counts
	Sequential bool       `json:"sequential,omitempty"`
	Up         int64      `json:"up,omitempty"`        // limit in bytes a second; 0: none
	Down       int64      `json:"down,omitempty"`      // limit in bytes a second; 0: none
	Ratio      float64    `json:"ratio,omitempty"`     // seed until this ratio is reached; 0: no such goal
	SeedTime   int64      `json:"seed_time,omitempty"` // seed for this number of seconds; 0: no such goal
	SeedIdle   int64      `json:"seed_idle,omitempty"` // seed until nothing was sent for this number of seconds; 0: no such goal
	NoSeed     bool       `json:"no_seed,omitempty"`   // do not seed
}

// FileRule is the priority of the files that a pattern matches. The syntax of the pattern is that of
// [maker.Options].Include.
type FileRule struct {
	Pattern  string `json:"pattern"`
	Priority string `json:"priority"` // skip, low, normal, high or max
}

// filePriorities are the names of priorities in a [FileRule].
var filePriorities = map[string]torrent.Priority{
	"skip": torrent.PrioritySkip, "low": torrent.PriorityLow, "normal": torrent.PriorityNormal, "high": torrent.PriorityHigh, "max": torrent.PriorityMax,
}

// Limits of options.
const (
	maxLabel   = 100   // characters of a label
	maxRules   = 1000  // patterns and rules of a torrent
	maxGlobs   = 10000 // bytes of a pattern
	maxSeconds = int64(math.MaxInt64 / time.Second)
)

// Check returns a usage error if an option is not valid.
func (o *TorrentOptions) Check() error {
	if err := checkLabel(o.Label); err != nil {
		return err
	}
	if o.Up < 0 || o.Down < 0 || o.SeedTime < 0 || o.SeedTime > maxSeconds || o.SeedIdle < 0 || o.SeedIdle > maxSeconds || o.Ratio < 0 || math.IsNaN(o.Ratio) || math.IsInf(o.Ratio, 0) {
		return fault.Usagef("a rate, a ratio or a time is negative or too large")
	}
	if len(o.Select)+len(o.Files) > maxRules {
		return fault.Usagef("these are too many patterns of files: the limit is %d", maxRules)
	}
	for _, p := range o.Select {
		if err := checkGlob(p); err != nil {
			return err
		}
	}
	for _, r := range o.Files {
		if _, ok := filePriorities[r.Priority]; !ok {
			return fault.UsageHint("write skip, low, normal, high or max", "%q is no priority of files", r.Priority)
		}
		if err := checkGlob(r.Pattern); err != nil {
			return err
		}
	}
	return nil
}

func checkGlob(p string) error {
	if len(p) > maxGlobs {
		return fault.Usagef("a pattern is longer than %s", units.Plural(maxGlobs, "byte"))
	}
	if _, err := maker.Matcher([]string{p}); err != nil {
		return fault.Usagef("the pattern of files: %w", err)
	}
	return nil
}

// checkLabel returns a usage error if s is no label. The empty label is none.
func checkLabel(s string) error {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxLabel || strings.TrimSpace(s) != s ||
		strings.ContainsAny(s, "=/\\,") || strings.ContainsFunc(s, unicode.IsControl) {
		return fault.UsageHint("write up to 100 letters, without = , / and \\", "%q cannot be a label", s)
	}
	return nil
}

// addRules appends rules. Earlier rules with the same pattern are dropped.
func (o *TorrentOptions) addRules(rules []FileRule) {
	o.Files = slices.DeleteFunc(slices.Clone(o.Files), func(old FileRule) bool {
		return slices.ContainsFunc(rules, func(r FileRule) bool { return r.Pattern == old.Pattern })
	})
	o.Files = append(o.Files, rules...)
}

// priorities returns the priority of each file of mi. link is the magnet link of the torrent, which
// can select files too (BEP 53), or "". A Select that matches no file is an error.
func (o *TorrentOptions) priorities(mi *metainfo.MetaInfo, link string) ([]torrent.Priority, error) {
	list := make([]torrent.Priority, len(mi.Info.Files))
	for i := range list {
		list[i] = torrent.PriorityNormal
	}
	if err := o.selectFiles(mi, link, list); err != nil {
		return nil, err
	}
	for _, r := range o.Files {
		match, err := maker.Matcher([]string{r.Pattern})
		if err != nil {
			return nil, err
		}
		for i := range list {
			if match(pathInTorrent(mi, i)) {
				list[i] = filePriorities[r.Priority]
			}
		}
	}
	return list, nil
}

// skipped reports for each file of mi whether it is not wanted, see priorities.
func (o *TorrentOptions) skipped(mi *metainfo.MetaInfo, link string) ([]bool, error) {
	priorities, err := o.priorities(mi, link)
	if err != nil {
		return nil, err
	}
	skip := make([]bool, len(priorities))
	for i, p := range priorities {
		skip[i] = p == torrent.PrioritySkip
	}
	return skip, nil
}

// selectFiles sets the priorities of the files that are not selected.
func (o *TorrentOptions) selectFiles(mi *metainfo.MetaInfo, link string, list []torrent.Priority) error {
	if len(o.Select) == 0 {
		m, err := metainfo.ParseMagnet(link)
		if err != nil || m.Select == nil {
			return nil
		}
		for i := range list {
			if !m.Selected(i) {
				list[i] = torrent.PrioritySkip
			}
		}
		return nil
	}
	match, err := maker.Matcher(o.Select)
	if err != nil {
		return err
	}
	some := false
	for i := range list {
		if match(pathInTorrent(mi, i)) {
			some = some || !mi.Info.Files[i].Pad()
		} else {
			list[i] = torrent.PrioritySkip
		}
	}
	if !some {
		return fault.New(fault.NotFound, "spate show lists its files", "no file of %q matches --select", mi.Info.Name)
	}
	return nil
}

// pathInTorrent returns the path of file i below the name of the torrent, or that name for a
// single file.
func pathInTorrent(mi *metainfo.MetaInfo, i int) string {
	f := &mi.Info.Files[i]
	if f.Path == nil {
		return mi.Info.Name
	}
	return f.DisplayPath()
}
