package publish

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A release is named in URLs, on the command line and in a [Catalog] by a
// reference. SLUG is the newest version of a release, whatever that is when it
// is asked for, in its first variant; SLUG~VERSION and SLUG~VERSION~VARIANT are
// one torrent for ever; SLUG~~VARIANT is the newest version of that variant.
const refSep = "~"

// maxLabel bounds a version and a variant, in bytes.
const maxLabel = 64

// ErrLabel is the cause when a slug, a version or a variant cannot be part of a
// reference.
var ErrLabel = errors.New("cannot be part of a release's address")

// SlugOf is the slug that a release gets which is named nothing else than its
// data.
func SlugOf(name string) string {
	switch slug := strings.NewReplacer(refSep, "_", "/", "_", "\x00", "_").Replace(name); slug {
	case ".", "..":
		return "_"
	default:
		return slug
	}
}

// Ref is a reference in its parts. Version is empty for the newest one.
type Ref struct{ Slug, Version, Variant string }

// ParseRef reads a reference. Any string is one, if not of something that exists.
func ParseRef(s string) Ref {
	var r Ref
	r.Slug, s, _ = strings.Cut(s, refSep)
	r.Version, r.Variant, _ = strings.Cut(s, refSep)
	return r
}

// String writes the reference.
func (r Ref) String() string {
	switch {
	case r.Variant != "":
		return r.Slug + refSep + r.Version + refSep + r.Variant
	case r.Version != "":
		return r.Slug + refSep + r.Version
	}
	return r.Slug
}

// check fails with [ErrLabel] if the reference could not be read back, or
// could not be one element of a path.
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

// Ref names exactly this torrent.
func (r *Release) Ref() string { return Ref{r.Slug, r.Version, r.Variant}.String() }

// LatestRef names whatever is the newest version of this release's variant: what
// links should use that are to stay true.
func (r *Release) LatestRef() string {
	if r.Variant == "" {
		return r.Slug
	}
	return Ref{Slug: r.Slug, Variant: r.Variant}.String()
}
