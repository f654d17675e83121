package publish

import (
	"context"
	"errors"
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

// notes is a tracker that records the note of each torrent that it allows.
type notes map[spate.InfoHash]Note

func (n notes) Allow(ih spate.InfoHash, note Note) error { n[ih] = note; return nil }
func (n notes) Disallow(ih spate.InfoHash) error         { delete(n, ih); return nil }

// TestTrackerGoesOnWithoutThisSeed checks that the tracker still tracks a release that cannot be
// seeded after a restart, or when it is resumed, but does not list this machine as a seed.
func TestTrackerGoesOnWithoutThisSeed(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	r, err := w.publisher().Publish(t.Context(), w.write("a", "1"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is broken")
	w.fail["seed"] = broken
	p, n := w.publisher(), notes{}
	p.opts.Tracker = n
	out, err := p.Restore(t.Context())
	if err != nil || len(out.Problems) != 1 || !errors.Is(out.Problems[0], broken) || !errors.Is(p.NotSeeded(r.Hash()), broken) {
		t.Errorf("Restore returned %v, %v; not seeded because of %v", out.Problems, err, p.NotSeeded(r.Hash()))
	}
	expect := func(when string, paused bool) {
		t.Helper()
		if note, ok := n[r.Hash()]; !ok || len(n) != len(r.AllHashes()) || note.Paused != paused {
			t.Errorf("%s: the tracker has %+v, want the torrent, paused %t", when, n, paused)
		}
	}
	expect("after the restart", true)
	p.Pause(t.Context(), r.Ref())
	if err := p.Resume(t.Context(), r.Ref()); !errors.Is(err, broken) {
		t.Errorf("Resume returned %v", err)
	}
	expect("after a pause", true)
	w.fail["seed"] = nil
	p.Pause(t.Context(), r.Ref())
	if err := p.Resume(t.Context(), r.Ref()); err != nil {
		t.Error(err)
	}
	expect("when it is seeded again", false)
}
