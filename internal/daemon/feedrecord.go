package daemon

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/feed"
	"spate/internal/units"
)

// FeedOptions are the options of a subscription that its user sets.
type FeedOptions struct {
	Name   string    `json:"name"` // default: the title of the feed
	Rule   feed.Rule `json:"rule"`
	Label  string    `json:"label,omitempty"`  // of the torrents that it adds
	Dir    string    `json:"dir,omitempty"`    // absolute path of the directory for their data; "": that of the label
	Paused bool      `json:"paused,omitempty"` // the feed is not fetched
	Every  int64     `json:"every,omitempty"`  // seconds between two checks; 0: 1800
}

// feedRecord is what a daemon keeps of a subscription across restarts, in a file ID.json of the
// directory "feeds" of the state.
type feedRecord struct {
	ID  string `json:"-"` // name of the file
	URL string `json:"url"`
	FeedOptions
	Remote bool      `json:"remote,omitempty"` // a caller on another machine has named the URL
	Added  time.Time `json:"added"`

	ETag     string        `json:"etag,omitempty"`
	Modified string        `json:"modified,omitempty"`
	Title    string        `json:"title,omitempty"`
	Checked  time.Time     `json:"checked,omitzero"`
	Next     time.Time     `json:"next,omitzero"`
	Failures int           `json:"failures,omitempty"` // checks in a row that have failed
	Error    string        `json:"error,omitempty"`    // of the last check
	Taken    int           `json:"taken,omitempty"`    // torrents that it has added
	Seen     []string      `json:"seen,omitempty"`     // keys of the items that were decided, oldest first
	Versions feed.Versions `json:"versions,omitempty"`

	tries map[string]int // attempts to add an item, by key
}

// Bounds of subscriptions.
const (
	maxFeeds     = 200
	maxSeen      = 3 * feed.MaxItems * 3 // keys: three for each item, of three times the longest feed
	maxVersions  = 5000
	maxFeedName  = 200
	maxFeedURL   = 4000
	maxFeedFile  = 4 << 20
	minFeedEvery = 5 * time.Minute
	feedEvery    = 30 * time.Minute
	maxFeedEvery = 7 * 24 * time.Hour
)

// check returns a usage error if an option is not valid.
func (o *FeedOptions) check() error {
	if err := checkLabel(o.Label); err != nil {
		return err
	}
	if err := o.Rule.Check(); err != nil {
		return fault.Usagef("the rule: %w", err)
	}
	if len(o.Name) > maxFeedName {
		return fault.Usagef("the name is longer than %s", units.Plural(maxFeedName, "byte"))
	}
	if every := time.Duration(o.Every) * time.Second; o.Every != 0 && (o.Every < 0 || o.Every > int64(maxFeedEvery/time.Second) || every < minFeedEvery) {
		return fault.Usagef("a feed is checked every five minutes to every seven days")
	}
	return nil
}

// keysOf returns the keys by which an item is known again: its id, its URL and its info-hash. The same
// torrent is not taken twice if one of them changes.
func keysOf(i *feed.Item) (keys []string) {
	add := func(kind, value string) {
		if value != "" {
			h := fnv.New128a()
			h.Write([]byte(kind + value))
			keys = append(keys, hex.EncodeToString(h.Sum(nil)[:12]))
		}
	}
	add("id ", i.ID)
	add("source ", i.Source)
	if !i.InfoHash.IsZero() {
		add("hash ", i.InfoHash.String())
	}
	if len(keys) == 0 {
		add("title ", i.Title)
	}
	return keys
}

// seenItem reports whether an item was decided before.
func seenItem(known map[string]bool, i *feed.Item) bool {
	return slices.ContainsFunc(keysOf(i), func(k string) bool { return known[k] })
}

// known returns the keys of the items that were decided.
func (r *feedRecord) known() map[string]bool {
	known := make(map[string]bool, len(r.Seen))
	for _, k := range r.Seen {
		known[k] = true
	}
	return known
}

// decide remembers an item. Old items are forgotten at a bound that is above the longest feed, so that
// those that the feed still has are known.
func (r *feedRecord) decide(known map[string]bool, i *feed.Item) {
	for _, k := range keysOf(i) {
		if known[k] {
			continue
		}
		known[k] = true
		r.Seen = append(r.Seen, k)
		delete(r.tries, k)
	}
	if len(r.Seen) > maxSeen {
		r.Seen = slices.Clone(r.Seen[len(r.Seen)-maxSeen:])
	}
}

// refresh makes the items that the feed has now the youngest, so that they are forgotten last. It does
// so only when items are about to be forgotten.
func (r *feedRecord) refresh(items []feed.Item) {
	if len(r.Seen) < maxSeen/2 {
		return
	}
	now := map[string]bool{}
	for i := range items {
		for _, k := range keysOf(&items[i]) {
			now[k] = true
		}
	}
	old, young := make([]string, 0, len(r.Seen)), []string{}
	for _, k := range r.Seen {
		if now[k] {
			young = append(young, k)
		} else {
			old = append(old, k)
		}
	}
	r.Seen = append(old, young...)
}

// note records the version of an item that was taken.
func (r *feedRecord) note(title string) {
	if r.Versions == nil {
		r.Versions = feed.Versions{}
	}
	if len(r.Versions) < maxVersions {
		r.Versions.Note(title)
	}
}

// feedStore is the directory of subscriptions.
type feedStore struct{ dir string }

func (s *feedStore) path(id string) string { return filepath.Join(s.dir, id+recordExt) }

// save writes r, so that it survives a crash after save has returned.
func (s *feedStore) save(r *feedRecord) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Replace(s.path(r.ID), b)
}

// remove removes the record of id.
func (s *feedStore) remove(id string) error {
	err := os.Remove(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.SyncDir(s.dir)
	}
	return err
}

// load returns the records, oldest first. It calls warn for a damaged one, which it sets aside.
func (s *feedStore) load(warn func(format string, args ...any)) (list []*feedRecord, err error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), recordExt)
		if _, err := hex.DecodeString(id); !ok || err != nil {
			continue
		}
		r := &feedRecord{ID: id}
		err := atomicfile.Load(s.path(id), maxFeedFile, func(b []byte) error {
			if err := json.Unmarshal(b, r); err != nil {
				return err
			}
			if _, err := url.Parse(r.URL); err != nil || r.URL == "" {
				return errors.New("it names no URL")
			}
			return r.check()
		})
		if err != nil {
			warn("the feed %s was not loaded: %v", id, err)
			continue
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *feedRecord) int { return a.Added.Compare(b.Added) })
	return list, nil
}
