package site

import (
	"context"
	"net/url"
	"time"

	"spate/publish"
)

// family holds links to the other versions and variants of a release.
type family struct {
	Newer    string // link to the newest version, or "" if the page shows it
	Missing  bool   // whether the newest version lacks the variant of the page
	Variants []relative
	Older    []relative // other versions
	More     string     // link to the rest of the versions, or ""

	here []*publish.Release // the variants of the version that the page shows, without files and notes
}

// relative is a release of a family.
type relative struct {
	Name, Link string
	Size       string
	Published  time.Time
	Here       bool
}

// Limits of the links to a family on a page.
const (
	relatives   = 12 // other versions
	maxVariants = 40 // variants of a version
)

// title returns the name of a release for its page: the name of its data, or its slug if the publisher
// chose one, because the variants of a release have different data.
func title(rel *publish.Release) string {
	if rel.Slug == publish.SlugOf(rel.Name) {
		return rel.Name
	}
	return rel.Slug
}

// family returns links to the other versions and variants of rel.
func (s local) family(ctx context.Context, rel *publish.Release, ref string) family {
	var f family
	all, err := s.catalog.Family(ctx, rel.Slug)
	if err != nil || len(all) < 2 {
		return f
	}
	asked := publish.ParseRef(ref)
	newer := true // whether the versions so far are newer than that of the page
	for _, version := range versions(all) {
		if version[0].Version == rel.Version {
			newer = false
			f.here = version
			f.Variants = s.variantLinks(version, rel, asked.Version != "")
			continue
		}
		o := kin(version, rel.Variant)
		switch {
		case newer && o != nil && (f.Newer == "" || f.Missing):
			f.Newer, f.Missing = s.path(s.pagePath(o.LatestRef())), false
		case newer && f.Newer == "":
			f.Newer, f.Missing = s.path(s.pagePath(rel.Slug)), true
		}
		if o == nil {
			o = version[0]
		}
		if len(f.Older) == relatives {
			f.More = s.path("/?" + url.Values{"all": {"1"}, "q": {rel.Slug}}.Encode())
			continue
		}
		f.Older = append(f.Older, relative{Name: display(o.Version), Link: s.path(s.pagePath(o.Ref())), Size: s.Bytes(o.Size), Published: o.Published})
	}
	return f
}

// versions splits the releases of a slug, in the order of [publish.Catalog.Family], by version.
func versions(all []*publish.Release) [][]*publish.Release {
	var out [][]*publish.Release
	for i, r := range all {
		if i == 0 || r.Version != all[i-1].Version {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}

// variantLinks returns links to the variants of a version, or nil if there is only one. The links
// name the version if exact is set, and otherwise lead to the newest version of the variant.
func (s local) variantLinks(version []*publish.Release, rel *publish.Release, exact bool) []relative {
	if len(version) < 2 {
		return nil
	}
	var links []relative
	for _, o := range inOrder(version) {
		to := o.LatestRef()
		if exact || o.Variant == "" {
			to = o.Ref()
		}
		name := display(o.Variant)
		if name == "" {
			name = s.T("default")
		}
		links = append(links, relative{Name: name, Link: s.path(s.pagePath(to)), Size: s.Bytes(o.Size), Here: rel != nil && o.Variant == rel.Variant})
	}
	return links
}
