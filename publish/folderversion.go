package publish

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// NamePattern finds the release, the version and the variant in the name of an entry of a watched
// folder, so that Game-1.1 becomes the next version of the release Game of Game-1.0. A nil pattern
// matches no name.
type NamePattern struct{ re *regexp.Regexp }

// ErrPattern is the error of [ParseNamePattern] for an expression without the groups release and
// version.
var ErrPattern = errors.New("the pattern needs the groups (?<release>...) and (?<version>...)")

// ParseNamePattern parses a regular expression that must match a whole name. Its groups release,
// version and, if it has one, variant are the parts of the reference. The error is that of the
// expression or [ErrPattern].
func ParseNamePattern(s string) (*NamePattern, error) {
	if _, err := regexp.Compile(s); err != nil {
		return nil, err // inside the group below, a ) too many would end the group
	}
	re, err := regexp.Compile("^(?:" + s + ")$")
	if err != nil {
		return nil, err
	}
	if re.SubexpIndex("release") < 0 || re.SubexpIndex("version") < 0 {
		return nil, ErrPattern
	}
	return &NamePattern{re}, nil
}

// Match returns the reference in a name, or false if the name does not match or its parts cannot be
// a reference.
func (p *NamePattern) Match(name string) (Ref, bool) {
	if p == nil {
		return Ref{}, false
	}
	m := p.re.FindStringSubmatch(name)
	if m == nil {
		return Ref{}, false
	}
	r := Ref{Slug: SlugOf(m[p.re.SubexpIndex("release")]), Version: m[p.re.SubexpIndex("version")]}
	if i := p.re.SubexpIndex("variant"); i >= 0 {
		r.Variant = m[i]
	}
	return r, r.check() == nil
}

// nameVersion sets the slug, the version and the variant in spec from the name of an entry. If the
// entry has changed, so that its version is taken, the version gets the next free number at its end.
func (f *Folder) nameVersion(ctx context.Context, name string, spec *Spec) error {
	ref, ok := f.opt.Names.Match(name)
	if !ok {
		return nil
	}
	family, err := f.pub.opts.Catalog.Family(ctx, ref.Slug)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	taken := map[string]bool{}
	for _, r := range family {
		if r.Variant == ref.Variant {
			taken[r.Version] = true
		}
	}
	version := ref.Version
	for n := 2; taken[version] && spec.Newer; n++ {
		version = fmt.Sprint(ref.Version, "-", n)
	}
	spec.Slug, spec.Version, spec.Variant = ref.Slug, version, ref.Variant
	return nil
}

// ofEntry reports whether o, a version that another one has replaced, was made from the entry name.
// Without a pattern only one entry has the slug of o.
func (f *Folder) ofEntry(o *Release, name string) bool {
	ref, ok := f.opt.Names.Match(name)
	return !ok || o.Version == ref.Version || strings.HasPrefix(o.Version, ref.Version+"-")
}
