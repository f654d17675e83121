package catalogdb

import (
	"sync"

	"spate/publish"
)

// cachedFiles bounds the files of the releases that are kept in memory, at about
// 200 bytes each.
const cachedFiles = 100_000

// cache has releases with their files, for a web seed asks for the same one again
// and again.
type cache struct {
	mu    sync.Mutex
	byRef map[string]*publish.Release
	files int
	// gen counts what was dropped, so that who reads from the database meanwhile
	// does not put back what is outdated.
	gen uint64
}

func newCache() *cache { return &cache{byRef: map[string]*publish.Release{}} }

func (c *cache) get(ref string) (r *publish.Release, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byRef[ref], c.gen
}

// put keeps r, which was read at generation gen.
func (c *cache) put(ref string, r *publish.Release, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cost := len(r.Files) + 1
	if gen != c.gen || cost > cachedFiles || c.byRef[ref] != nil {
		return
	}
	for old, o := range c.byRef { // any will do
		if c.files+cost <= cachedFiles {
			break
		}
		delete(c.byRef, old)
		c.files -= len(o.Files) + 1
	}
	c.byRef[ref] = r
	c.files += cost
}

func (c *cache) drop(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	if r := c.byRef[ref]; r != nil {
		delete(c.byRef, ref)
		c.files -= len(r.Files) + 1
	}
}
