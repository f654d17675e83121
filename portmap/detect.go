package portmap

import (
	"context"
	"iter"
	"slices"
	"time"
)

// detect yields the ways of the router that answer, the preferred ones first, and the errors of
// the others. A preferred way that is slower than the others by more than headStart comes after
// them.
func (f *family) detect(ctx context.Context) iter.Seq2[way, error] {
	return func(yield func(way, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		tests := f.m.ways(f.net)
		type result struct {
			i   int
			w   way
			err error
		}
		results := make(chan result, len(tests))
		for i, test := range tests {
			go func() {
				ctx, cancel := context.WithTimeout(ctx, detectTime)
				defer cancel()
				w, err := test(ctx)
				results <- result{i, w, err}
			}()
		}
		ready, pending := make([]way, len(tests)), len(tests)
		waiting := slices.Repeat([]bool{true}, len(tests)) // the tests whose results come before later ones
		var late <-chan time.Time
		for {
			best := slices.IndexFunc(ready, func(w way) bool { return w != nil })
			switch {
			case best >= 0 && !slices.Contains(waiting[:best], true):
				w := ready[best]
				ready[best], late = nil, nil
				if !yield(w, nil) {
					return
				}
				continue
			case pending == 0:
				return
			case best >= 0 && late == nil:
				late = time.After(headStart)
			}
			select {
			case r := <-results:
				waiting[r.i], pending = false, pending-1
				if r.err == nil {
					ready[r.i] = r.w
				} else if !yield(nil, r.err) {
					return
				}
			case <-late:
				for i := range best {
					waiting[i] = false // a result that comes later is tried after this one
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
