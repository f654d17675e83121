package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"spate"
)

// Index holds all releases of a catalog in memory, without files and notes, and answers
// queries. Implementations of [Catalog] use it. It is safe for concurrent use. A change
// replaces the lists that were returned before instead of writing to them.
type Index struct {
	mu     sync.RWMutex
	slugs  map[string][]*Release // versions and variants in the order of sortVersions
	byHash map[spate.InfoHash]*Release
	latest []*Release // the first release of each slug, in the order of newestFirst; nil until it is needed
	all    []*Release // all releases in the same order; nil until they are needed

	nice map[string][]string // nice addresses -> the slugs that they could stand for
	held map[string]string   // nice addresses -> the slugs that have them, which may have been removed

	revision uint64 // number of changes
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{slugs: map[string][]*Release{}, nice: map[string][]string{}, held: map[string]string{}, byHash: map[spate.InfoHash]*Release{}}
}

// Check returns [ErrExists] or [ErrLabel] if r cannot be added.
func (x *Index) Check(r *Release) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.check(r)
}

func (x *Index) check(r *Release) error {
	if err := (Ref{r.Slug, r.Version, r.Variant}).check(); err != nil {
		return err
	}
	for _, other := range x.slugs[r.Slug] {
		if other.Version == r.Version && other.Variant == r.Variant {
			return fmt.Errorf("%w: %q", ErrExists, r.Ref())
		}
	}
	for _, ih := range r.AllHashes() {
		if other := x.byHash[ih]; other != nil {
			return fmt.Errorf("%w: %q has the same data", ErrExists, other.Ref())
		}
	}
	return nil
}

// Add adds r, or returns the error of Check.
func (x *Index) Add(r *Release) error {
	short := r.Listed()
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.check(r); err != nil {
		return err
	}
	x.setSlug(r.Slug, append(slices.Clone(x.slugs[r.Slug]), short), nil, short)
	for _, ih := range r.AllHashes() {
		x.byHash[ih] = short
	}
	return nil
}

// Remove removes the release with exactly the reference ref, and reports whether there was
// one.
func (x *Index) Remove(ref string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.exact(ref)
	if r == nil {
		return false
	}
	x.setSlug(r.Slug, slices.DeleteFunc(slices.Clone(x.slugs[r.Slug]), func(o *Release) bool { return o == r }), r, nil)
	for _, ih := range r.AllHashes() {
		delete(x.byHash, ih)
	}
	return true
}

// Replace replaces the release with the same reference by r. r must have the same
// info-hashes and the same Published time.
func (x *Index) Replace(r *Release) {
	short := r.Listed()
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.exact(r.Ref())
	if old == nil {
		return
	}
	list := slices.Clone(x.slugs[r.Slug])
	list[slices.Index(list, old)] = short
	x.setSlug(r.Slug, list, old, short)
	for _, ih := range r.AllHashes() {
		x.byHash[ih] = short
	}
}

// setSlug sorts list and stores it as the releases of a slug. list differs from the releases
// before by gone and added, which may be nil.
func (x *Index) setSlug(slug string, list []*Release, gone, added *Release) {
	x.revision++
	var before, after *Release // the first releases
	if old := x.slugs[slug]; len(old) > 0 {
		before = old[0]
	}
	if (before == nil) != (len(list) == 0) {
		x.nameAddress(slug, before == nil)
	}
	if len(list) == 0 {
		delete(x.slugs, slug)
	} else {
		sortVersions(list)
		x.slugs[slug] = list
		after = list[0]
	}
	x.latest, x.all = exchanged(x.latest, before, after), exchanged(x.all, gone, added)
}

// exchanged returns a copy of list, which is in the order of newestFirst, without gone and with
// added. It returns nil if list is nil, so that adding many releases to an index before its
// lists are needed takes no time for each list.
func exchanged(list []*Release, gone, added *Release) []*Release {
	if list == nil || gone == added {
		return list
	}
	out := make([]*Release, 0, len(list)+1)
	out = append(out, list...)
	if gone != nil {
		at, _ := slices.BinarySearchFunc(out, gone, newestFirst)
		out = slices.Delete(out, at, at+1)
	}
	if added != nil {
		at, _ := slices.BinarySearchFunc(out, added, newestFirst)
		out = slices.Insert(out, at, added)
	}
	return out
}

// sortVersions sorts the versions by their newest release, the newest first, and the variants
// of a version by name.
func sortVersions(list []*Release) {
	newest := map[string]int64{}
	for _, r := range list {
		newest[r.Version] = max(newest[r.Version], r.Published.UnixNano())
	}
	slices.SortStableFunc(list, func(a, b *Release) int {
		return cmp.Or(cmp.Compare(newest[b.Version], newest[a.Version]), compareVersions(b.Version, a.Version), strings.Compare(a.Variant, b.Variant))
	})
}

// compareVersions compares two versions. It compares runs of digits as numbers.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			break
		}
		a, b = a[1:], b[1:]
	}
	return strings.Compare(a, b)
}

// digits returns the number of digits at the start of s.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// Resolve returns the release that ref names, or [ErrNotFound].
func (x *Index) Resolve(ref string) (*Release, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	r := ParseRef(ref)
	if slug := x.addressed(r.Slug); slug != "" && slug != r.Slug {
		r.Slug = slug
		ref = r.String()
	}
	list := x.slugs[r.Slug]
	if r.Version != "" {
		list = nil
		if e := x.exact(ref); e != nil {
			return e, nil
		}
	}
	for _, e := range list {
		if r.Variant == "" || r.Variant == e.Variant {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNotFound, ref)
}

// exact returns the release with exactly the reference ref, or nil.
func (x *Index) exact(ref string) *Release {
	want := ParseRef(ref)
	for _, r := range x.slugs[want.Slug] {
		if r.Version == want.Version && r.Variant == want.Variant {
			return r
		}
	}
	return nil
}

// Find implements [Catalog.Find].
func (x *Index) Find(ih spate.InfoHash) (*Release, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if r := x.byHash[ih]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, ih)
}

// Family implements [Catalog.Family].
func (x *Index) Family(slug string) ([]*Release, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if list := x.slugs[slug]; len(list) > 0 {
		return slices.Clone(list), nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNotFound, slug)
}

// List implements [Catalog.List].
func (x *Index) List(q Query) ([]*Release, int) {
	list := x.ordered(q.All)
	if words := strings.Fields(strings.ToLower(q.Text)); len(words) > 0 || q.Group != "" {
		var match []*Release
		for _, r := range list {
			if q.Group != "" && r.Group != q.Group {
				continue
			}
			text := strings.ToLower(r.Slug + "\x00" + r.Name + "\x00" + r.Group + "\x00" + r.Version + "\x00" + r.Variant)
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				match = append(match, r)
			}
		}
		list = match
	}
	total := len(list)
	list = list[min(max(q.Offset, 0), total):]
	if q.Limit > 0 {
		list = list[:min(q.Limit, len(list))]
	}
	return slices.Clone(list), total
}

// ordered returns the newest release of each slug, or all releases, the newest first.
func (x *Index) ordered(all bool) []*Release {
	at := &x.latest
	if all {
		at = &x.all
	}
	x.mu.RLock()
	list := *at
	x.mu.RUnlock()
	if list != nil {
		return list
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if *at == nil {
		list = make([]*Release, 0, len(x.slugs))
		for _, l := range x.slugs {
			if !all {
				l = l[:1]
			}
			list = append(list, l...)
		}
		slices.SortFunc(list, newestFirst)
		*at = list
	}
	return *at
}

// Revision implements [Catalog.Revision].
func (x *Index) Revision() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.revision
}

// Groups implements [Catalog.Groups].
func (x *Index) Groups() []GroupCount {
	n := map[string]int{}
	for _, r := range x.ordered(false) {
		n[r.Group]++
	}
	var out []GroupCount
	for g, k := range n {
		out = append(out, GroupCount{g, k})
	}
	slices.SortFunc(out, func(a, b GroupCount) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// Listed returns a copy of r without files and notes, as [Catalog.List] returns it.
func (r *Release) Listed() *Release {
	short := *r
	short.Files, short.index, short.Notes = nil, nil, ""
	return &short
}

// newestFirst compares releases by time, the newest first, and then by reference.
func newestFirst(a, b *Release) int {
	return cmp.Or(b.Published.Compare(a.Published), strings.Compare(a.Slug, b.Slug),
		compareVersions(b.Version, a.Version), strings.Compare(a.Variant, b.Variant))
}
