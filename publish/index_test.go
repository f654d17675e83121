package publish

import (
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestIndexOrder changes an index at random, and checks after each change that its lists are
// those of a new index with the same releases. One index is asked after every change, and
// another rarely.
func TestIndexOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	often, rarely := NewIndex(), NewIndex()
	now := map[string]*Release{}
	for step := range 1500 {
		r := &Release{
			Slug: fmt.Sprint("s", rng.IntN(12)), Version: fmt.Sprint(rng.IntN(4)), Variant: []string{"", "x", "y"}[rng.IntN(3)],
			Group: fmt.Sprint(rng.IntN(3)), Published: time.Unix(int64(rng.IntN(5)), 0),
		}
		r.HashV1 = sha1.Sum([]byte(r.Ref()))
		had := now[r.Ref()]
		for _, x := range []*Index{often, rarely} {
			switch {
			case had == nil:
				if err := x.Add(r); err != nil {
					t.Fatal(err)
				}
			case step%2 == 0:
				x.Remove(r.Ref())
			default:
				r.Published = had.Published
				x.Replace(r)
			}
		}
		now[r.Ref()] = r
		if had != nil && step%2 == 0 {
			delete(now, r.Ref())
		}
		fresh := NewIndex()
		for _, r := range now {
			if err := fresh.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range []*Index{often, rarely} {
			if x == rarely && step%50 > 0 {
				continue
			}
			for _, q := range []Query{{}, {All: true}, {Group: "1"}} {
				got, total := x.List(q)
				want, all := fresh.List(q)
				same := func(a, b *Release) bool { return a.Ref() == b.Ref() && a.Group == b.Group }
				if total != all || !slices.EqualFunc(got, want, same) {
					t.Fatalf("step %d: List(%+v) returned %d releases, want %d in the order of a new index", step, q, total, all)
				}
			}
			if got, want := x.Groups(), fresh.Groups(); !slices.Equal(got, want) {
				t.Fatalf("step %d: Groups returned %v, want %v", step, got, want)
			}
		}
	}
}
