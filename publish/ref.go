package publish

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// refSep separates the parts of a reference, which names a release in URLs, on the command
// line and in a [Catalog]. SLUG refers to the first variant of the newest version, and
// SLUG~~VARIANT to the newest version of that variant. SLUG~VERSION and
// SLUG~VERSION~VARIANT always refer to the same torrent.
const refSep = "~"

// maxLabel is the maximum length of a version or a variant, in bytes.
const maxLabel = 64

// ErrLabel is the cause if a slug, a version or a variant cannot be part of a reference.
var ErrLabel = errors.New("cannot be part of a release's address")

// SlugOf returns the default slug of a release, made from the name of its data. It is valid
// UTF-8, because JSON contains it.
func SlugOf(name string) string {
	name = strings.ToValidUTF8(name, "_")
	switch slug := strings.NewReplacer(refSep, "_", "/", "_", "\x00", "_").Replace(name); slug {
	case ".", "..":
		return "_"
	default:
		return slug
	}
}

// Ref is a parsed reference. An empty Version stands for the newest one.
type Ref struct{ Slug, Version, Variant string }

// ParseRef parses a reference. Every string is a valid reference.
func ParseRef(s string) Ref {
	var r Ref
	r.Slug, s, _ = strings.Cut(s, refSep)
	r.Version, r.Variant, _ = strings.Cut(s, refSep)
	return r
}

// String returns the reference in the form that [ParseRef] parses.
func (r Ref) String() string {
	switch {
	case r.Variant != "":
		return r.Slug + refSep + r.Version + refSep + r.Variant
	case r.Version != "":
		return r.Slug + refSep + r.Version
	}
	return r.Slug
}

// check returns [ErrLabel] if ParseRef would parse r.String() differently, or if the
// reference cannot be one element of a path.
func (r Ref) check() error {
	if r.Slug == "" || r.Slug != SlugOf(r.Slug) {
		return fmt.Errorf("slug %q %w", r.Slug, ErrLabel)
	}
	for what, label := range map[string]string{"version": r.Version, "variant": r.Variant} {
		bad := func(c rune) bool { return strings.ContainsRune(`/\~`, c) || !unicode.IsGraphic(c) }
		if label == "" && what == "variant" {
			continue
		}
		if label == "" || len(label) > maxLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, bad) {
			return fmt.Errorf("%s %q %w", what, label, ErrLabel)
		}
	}
	return nil
}

// Ref returns the reference that names exactly this release.
func (r *Release) Ref() string { return Ref{r.Slug, r.Version, r.Variant}.String() }

// LatestRef returns the reference of the newest version of the release's variant. Use it
// for links that should also lead to later versions.
func (r *Release) LatestRef() string {
	if r.Variant == "" {
		return r.Slug
	}
	return Ref{Slug: r.Slug, Variant: r.Variant}.String()
}
