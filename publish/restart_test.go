package publish

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"spate"
)

// calls is a catalog that counts the calls of its methods.
type calls struct {
	Catalog
	n map[string]int
}

func (c *calls) Get(ctx context.Context, ref string) (*Release, error) {
	c.n["Get"]++
	return c.Catalog.Get(ctx, ref)
}

func (c *calls) Torrents(ctx context.Context, ref string) (Torrents, error) {
	c.n["Torrents"]++
	return c.Catalog.Torrents(ctx, ref)
}

func (c *calls) History(ctx context.Context, ih spate.InfoHash, since time.Time) (History, error) {
	c.n["History"]++
	return c.Catalog.History(ctx, ih, since)
}

func (c *calls) Find(ctx context.Context, ih spate.InfoHash) (*Release, error) {
	c.n["Find"]++
	return c.Catalog.Find(ctx, ih)
}

func (c *calls) Update(ctx context.Context, ref string, change Change) error {
	c.n["Update"]++
	return c.Catalog.Update(ctx, ref, change)
}

func (c *calls) Count(ctx context.Context, ih spate.InfoHash, now time.Time, add Counts) error {
	c.n["Count"]++
	return c.Catalog.Count(ctx, ih, now, add)
}

func (c *calls) Each(ctx context.Context, f func(*Release, Torrents) error) error {
	c.n["Each"]++
	return c.Catalog.Each(ctx, f)
}

// TestRestartReadsTheCatalogOnce checks that the number of reads of the catalog at a restart
// does not depend on the number of releases. The calls that are not counted, such as Total,
// must return quickly.
func TestRestartReadsTheCatalogOnce(t *testing.T) {
	t.Parallel()
	for _, releases := range []int{1, 40} {
		w := newFixture(t)
		p := w.publisher()
		for i := range releases {
			if _, err := p.Publish(t.Context(), w.write(fmt.Sprintf("file %d", i), fmt.Sprintf("data %d", i)), Spec{}); err != nil {
				t.Fatal(err)
			}
		}
		c := &calls{Catalog: w.Memory, n: map[string]int{}}
		again := w.publisher()
		again.opts.Catalog = c
		out, err := again.Restore(t.Context())
		if err != nil || len(out.Problems) > 0 {
			t.Fatalf("Restore returned %+v, %v", out, err)
		}
		src := Sources{Completed: func(spate.InfoHash) int64 { return 0 }, Sent: func(spate.InfoHash) (int64, int64) { return 0, 0 }}
		NewCounter(c, src, time.Now, slog.New(slog.DiscardHandler)).All(t.Context())
		if want := map[string]int{"Each": 1}; !maps.Equal(c.n, want) {
			t.Errorf("with %d releases the restart called %v, want %v", releases, c.n, want)
		}
	}
}
