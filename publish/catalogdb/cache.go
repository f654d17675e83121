package catalogdb

import (
	"sync"

	"spate/publish"
)

// cachedFiles is the maximum number of files of all cached releases. A file takes about 200
// bytes. A release with more than half as many files counts as half, so that two of any size can
// be cached: reading a million files from the database takes seconds.
const cachedFiles = 100_000

// cost returns the number of files that r counts as.
func cost(r *publish.Release) int { return min(len(r.Files)+1, cachedFiles/2) }

// cache holds releases with their files, because requests for data need the same
// release many times.
type cache struct {
	mu    sync.Mutex
	byRef map[string]*publish.Release
	files int
	// gen counts the removed releases, so that a release that was read from the database
	// before a change is not added after it.
	gen uint64
}

func newCache() *cache { return &cache{byRef: map[string]*publish.Release{}} }

func (c *cache) get(ref string) (r *publish.Release, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byRef[ref], c.gen
}

// put adds r, which was read at generation gen.
func (c *cache) put(ref string, r *publish.Release, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen != c.gen || c.byRef[ref] != nil {
		return
	}
	for old, o := range c.byRef { // in random order
		if c.files+cost(r) <= cachedFiles {
			break
		}
		delete(c.byRef, old)
		c.files -= cost(o)
	}
	c.byRef[ref] = r
	c.files += cost(r)
}

func (c *cache) drop(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	if r := c.byRef[ref]; r != nil {
		delete(c.byRef, ref)
		c.files -= cost(r)
	}
}
