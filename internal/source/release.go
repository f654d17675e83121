package source

import (
	"fmt"
	"net/url"
	"strings"

	"spate/internal/fault"
	"spate/publish"
	"spate/signature"
)

// SeenReleases is the file in the state directory that records the newest release of each
// page.
const SeenReleases = "seen-releases"

// askedRef returns the reference of the release in the URL of a page or a torrent. The user has
// given the URL, so the site cannot change it.
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

// answers reports whether the release got is the requested one. A reference without a version
// matches any version; without a variant too, it matches any variant. The requested slug may be any address of
// the slug.
func answers(asked, got publish.Ref) bool {
	if publish.IsAddress(asked.Slug, got.Slug) {
		asked.Slug = got.Slug
	}
	switch {
	case asked.Version != "":
		return got == asked
	case asked.Variant != "":
		return got.Slug == asked.Slug && got.Variant == asked.Variant
	}
	return got.Slug == asked.Slug
}

// checkRelease returns an error if the signed release is not the requested one, or if it is
// older than a release that the same page had before. The signature alone does not show that,
// because the publisher's key has signed all releases.
func (c *check) checkRelease(st signature.Statement) error {
	asked, ok := askedRef(c.src.Arg)
	if !ok {
		return nil
	}
	want := publish.ParseRef(asked)
	if st.Release.Ref != "" && !answers(want, publish.ParseRef(st.Release.Ref)) {
		return unchecked(fault.New(fault.BadData, "nothing was fetched; ask the publisher", "%s: the signature is of another release, %s", c.src.Arg, st.Release.Ref))
	}
	if want.Version != "" { // the URL names one version, new or old
		return nil
	}
	seen, err := OpenSeen(c.state, c.Notef)
	if err != nil {
		return unchecked(err)
	}
	for _, site := range c.src.sites {
		if had, ok := seen.Newest(site, asked); ok && st.Release.Published.Before(had.Published) {
			what := "an unnamed release"
			if st.Release.Ref != "" {
				what = fmt.Sprintf("%s of %s", st.Release.Ref, st.Release.Published.Format(day))
			}
			return fault.New(fault.BadData, "nothing was fetched; if the publisher has withdrawn the newer release, name the version: .../r/NAME~VERSION",
				"%s: the page has %s, but had the newer %s of %s before", c.src.Arg, what, had.Ref, had.Published.Format(day))
		}
	}
	if st.Release.Ref == "" || c.readOnly {
		return nil
	}
	for _, site := range c.src.sites {
		if err := seen.Remember(site, asked, st.Release); err != nil {
			return fault.WithSetting(fmt.Errorf("remembering the newest release of %s: %w", site, err), "state")
		}
	}
	return nil
}
