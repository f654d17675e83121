package cli

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"spate/internal/fault"
	"spate/publish"
	"spate/signature"
)

// seenReleases is the file in the state directory that remembers the newest
// releases of sites.
const seenReleases = "seen-releases"

// askedRef is the reference of a release in the URL of its page or its torrent, as
// a person wrote it: what of all that a site sends cannot be the site's doing.
func askedRef(arg string) (ref string, ok bool) {
	u, err := url.Parse(arg)
	if err != nil || u.Host == "" {
		return "", false
	}
	parts := strings.Split(u.EscapedPath(), "/")
	if len(parts) < 2 {
		return "", false
	}
	last, err := url.PathUnescape(parts[len(parts)-1])
	switch parts[len(parts)-2] {
	case "r":
		return last, err == nil && last != ""
	case "t", "t1":
		ref, ok = strings.CutSuffix(last, ".torrent")
		return ref, err == nil && ok && ref != ""
	}
	return "", false
}

// answers reports whether a release is one that was asked for. Without a version
// any is meant, and without a variant too any variant.
func answers(asked, got publish.Ref) bool {
	switch {
	case asked.Version != "":
		return got == asked
	case asked.Variant != "":
		return got.Slug == asked.Slug && got.Variant == asked.Variant
	}
	return got.Slug == asked.Slug
}

// checkRelease fails with [fault.BadData] if what is signed is another release than
// was asked for, or is shown as the newest and is older than one that was shown
// before: the key of a publisher has signed all of them.
func (c *signatureCheck) checkRelease(st signature.Statement) error {
	asked, ok := askedRef(c.src.Arg)
	if !ok {
		return nil
	}
	want := publish.ParseRef(asked)
	if st.Release.Ref != "" && !answers(want, publish.ParseRef(st.Release.Ref)) {
		return fault.New(fault.BadData, c.accept("nothing was fetched; ask the publisher"), "%s: the signature is of another release, %s", c.src.Arg, st.Release.Ref)
	}
	if want.Version != "" { // which one is meant is said
		return nil
	}
	seen, err := signature.OpenSeen(filepath.Join(c.state, seenReleases))
	if err != nil {
		return fault.WithHint(fmt.Errorf("the releases that were seen: %w", err), "correct the file; --verify-key off goes without it")
	}
	for _, site := range c.src.sites {
		if had, ok := seen.Newest(site, asked); ok && st.Release.Published.Before(had.Published) {
			what := "one that does not say which"
			if st.Release.Ref != "" {
				what = fmt.Sprintf("%s of %s", st.Release.Ref, st.Release.Published.Format(day))
			}
			return fault.New(fault.BadData, "nothing was fetched; if the publisher has taken the newer one back, name the version: .../r/NAME~VERSION",
				"%s: the newest release is %s, and %s of %s was here before", c.src.Arg, what, had.Ref, had.Published.Format(day))
		}
	}
	if st.Release.Ref == "" {
		return nil
	}
	for _, site := range c.src.sites {
		if err := seen.Remember(site, asked, st.Release); err != nil {
			return fault.WithHint(fmt.Errorf("remembering the newest release of %s: %w", site, err), "choose another directory with --state DIR")
		}
	}
	return nil
}
