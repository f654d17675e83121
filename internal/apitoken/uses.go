package apitoken

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/folder"
)

// Uses remembers on which day each token was used last, in a file. The file is written at most once a
// day for each token. The methods are safe for concurrent use.
type Uses struct {
	path string
	mu   sync.Mutex
	days map[string]string // by the ID of the token: 2006-01-02, UTC
}

// OpenUses reads the file at path. A file that is missing or damaged is empty, because nothing depends
// on it.
func OpenUses(path string) *Uses {
	u := &Uses{path: path}
	if b, err := folder.ReadNamed(path, maxFile); err == nil && json.Unmarshal(b, &u.days) != nil {
		u.days = nil
	}
	return u
}

// Day returns the day on which the token with an ID was used last, or "".
func (u *Uses) Day(id string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.days[id]
}

// Note remembers that the token with an ID is used now. It forgets tokens that are not in known.
func (u *Uses) Note(id string, now time.Time, known []Token) error {
	day := now.UTC().Format(time.DateOnly)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.days[id] == day {
		return nil
	}
	if u.days == nil {
		u.days = map[string]string{}
	}
	maps.DeleteFunc(u.days, func(id, _ string) bool {
		return !slices.ContainsFunc(known, func(t Token) bool { return t.ID == id })
	})
	u.days[id] = day
	b, err := json.Marshal(u.days)
	if err == nil {
		err = atomicfile.Replace(u.path, b)
	}
	return err
}
