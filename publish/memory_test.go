package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/maker"
)

func names(list []*Release) (names []string) {
	for _, r := range list {
		names = append(names, r.Name)
	}
	return names
}

func TestMemoryList(t *testing.T) {
	m, ctx := NewMemory(), t.Context()
	for i, name := range []string{"Debian 13 amd64.iso", "notes.txt", "debian 13 arm64.iso", "older"} {
		r := &Release{Name: name, Published: time.Unix(int64(100*min(i, 2)), 0), Files: []File{{}}}
		if name == "older" {
			r.Published = time.Unix(-5, 0)
		}
		if err := m.Put(ctx, r, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Put(ctx, &Release{Name: "older"}, nil); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		q     Query
		want  []string
		total int
	}{
		{Query{}, []string{"debian 13 arm64.iso", "notes.txt", "Debian 13 amd64.iso", "older"}, 4},
		{Query{Limit: 2}, []string{"debian 13 arm64.iso", "notes.txt"}, 4},
		{Query{Offset: 3, Limit: 2}, []string{"older"}, 4},
		{Query{Offset: 9}, nil, 4},
		{Query{Text: "ISO debian"}, []string{"debian 13 arm64.iso", "Debian 13 amd64.iso"}, 2},
		{Query{Text: "debian", Offset: 1}, []string{"Debian 13 amd64.iso"}, 2},
		{Query{Text: "none"}, nil, 0},
	} {
		list, total, err := m.List(ctx, c.q)
		if got := names(list); err != nil || total != c.total || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q %d %v", c.q, got, total, err)
		}
		for _, r := range list {
			if r.Files != nil {
				t.Error("the list has files")
			}
		}
	}
	if r, err := m.Get(ctx, "older"); err != nil || len(r.Files) != 1 || r.TorrentSize != 5 {
		t.Errorf("%+v %v", r, err)
	}
	for _, err := range []error{m.Delete(ctx, "none"), m.SetSums(ctx, "none", spate.InfoHash{}, nil)} {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if _, err := m.Torrent(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestMemoryRace(t *testing.T) {
	m, ctx := NewMemory(), t.Context()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprint(i, "-", j)
				r := &Release{Name: name, Files: []File{{Path: "a"}}}
				if err := m.Put(ctx, r, nil); err != nil {
					t.Error(err)
				}
				if err := m.SetSums(ctx, name, r.Hash(), make([][32]byte, 1)); err != nil {
					t.Error(err)
				}
				list, _, _ := m.List(ctx, Query{Limit: 10})
				for _, r := range list {
					if full, err := m.Get(ctx, r.Name); err == nil {
						full.Lookup("a")
					}
				}
				if j%2 == 0 {
					m.Delete(ctx, name)
				}
			}
		})
	}
	wg.Wait()
	if _, total, _ := m.List(ctx, Query{}); total != 8*25 {
		t.Errorf("%d releases", total)
	}
}

func TestSums(t *testing.T) {
	w := newWorld(t)
	p := w.publisher()
	publish := func(name, data string) {
		t.Helper()
		if _, err := p.Publish(t.Context(), w.write(name, data), maker.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	summed := func(name, data string) bool {
		r, err := w.Get(t.Context(), name)
		return err == nil && r.Summed && r.Files[0].SHA256 == sha256.Sum256([]byte(data))
	}
	publish("first", "1")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p.listed = make(chan struct{}, 1) // of this bubble
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		if !summed("first", "1") {
			t.Error("what was there is not summed")
		}
		publish("gone", "2")
		w.write("gone", "other")
		publish("second", "22")
		synctest.Wait()
		if !summed("second", "22") {
			t.Error("what came is not summed")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	list, _, _ := w.List(t.Context(), Query{Text: "second"})
	if len(list) != 1 || !list[0].Summed {
		t.Errorf("the list does not know of the sums: %+v", list)
	}
	r, _ := w.Get(t.Context(), "second")
	if err := w.SetSums(t.Context(), "first", r.Hash(), make([][32]byte, 1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("sums of another release are taken: %v", err)
	}
}
