package swarm

import (
	"math/bits"

	"spate/tracker"
)

// sample appends peers to the reply: first the pinned origins, then a uniform sample of
// the others. Seeds and partial seeds (BEP 21) get no seeds unless Seeking is set. A
// peer never gets itself.
func (s *shard) sample(rec record, pins *pinSet, a *announce) {
	want := a.req.NumWant
	if want < 0 {
		want = s.t.opt.NumWant
	}
	want = min(want, s.t.opt.MaxNumWant)
	seeds := !a.req.Seed && a.req.Event != tracker.EventPaused || a.req.Seeking
	if seeds {
		want -= pins.toldTo(a.req.Addr.Addr()).appendTo(a.req, a.rep, want)
	}

	var have [numLists]int
	total := 0
	for list := range numLists {
		if six := list&listSix != 0; six && !a.req.Want6 || !six && !a.req.Want4 || list&listSeed != 0 && !seeds {
			continue
		}
		have[list] = rec.n(list)
		if list == a.self.list {
			have[list]--
		}
		total += have[list]
	}
	want = min(want, total)
	if want <= 0 {
		return
	}
	// Divide want in proportion to the lengths of the lists. The rounding keeps the sum
	// right, and starts at a random value so that it favours no list.
	sum, done := s.rng.below(total), 0
	for list, n := range have {
		sum += n * want
		k := sum/total - done
		done += k
		if k > 0 {
			s.appendPeers(rec, list, k, a)
		}
	}
}

// appendPeers appends k consecutive entries of a list to the reply, starting at a random
// entry, and skips the announcing peer. The list must have enough entries.
func (s *shard) appendPeers(rec record, list, k int, a *announce) {
	dst := &a.rep.Peers4
	if list&listSix != 0 {
		dst = &a.rep.Peers6
	}
	self := position{list: -1}
	if a.self.list == list {
		self = a.self
	}
	bucket, at := s.start(rec, list, self)
	for nb := s.buckets(rec, list); ; {
		b := s.block(rec, list, bucket)
		skip := -1
		if self.list >= 0 && self.bucket == bucket {
			skip = self.at
		}
		*dst, k = b.run(*dst, at, k, skip)
		if k == 0 {
			return
		}
		bucket++
		if bucket == nb {
			bucket = 0
		}
		at = 0
	}
}

// start returns a random entry of a list other than self, each with the same
// probability.
func (s *shard) start(rec record, list int, self position) (bucket, at int) {
	if !rec.isDir(list) {
		n := rec.n(list)
		if self.list < 0 {
			return 0, s.rng.below(n)
		}
		at = s.rng.below(n - 1)
		if at >= self.at {
			at++
		}
		return 0, at
	}
	d := &s.dirs[rec.dirNo(list)]
	for {
		r := s.rng.next()
		at = int(r & 0xff)
		hi, _ := bits.Mul64(r, uint64(len(d.ns)))
		bucket = int(hi)
		if at < int(d.ns[bucket]) && (self.list < 0 || self.bucket != bucket || self.at != at) {
			return bucket, at
		}
	}
}

// run appends up to k addresses from entry at to the end of the block, except for entry
// skip. It returns how many are still missing.
func (b *block) run(dst []byte, at, k, skip int) ([]byte, int) {
	if skip >= at && skip < b.n {
		if m := min(k, skip-at); m > 0 {
			dst = append(dst, b.mem[at*b.stride:(at+m)*b.stride]...)
			k -= m
		}
		at = skip + 1
	}
	if m := min(k, b.n-at); m > 0 {
		dst = append(dst, b.mem[at*b.stride:(at+m)*b.stride]...)
		k -= m
	}
	return dst, k
}
