package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
)

// NiceAddress returns an address for a slug that is easy to read, to type and to paste, such as
// "my-file-v1.2-x64" for "My File [v1.2] (x64)". It returns "" if the slug consists of letters, digits,
// dots, hyphens, underscores and plus signs, because its own address is good enough, and if nothing of it
// is left.
func NiceAddress(slug string) string {
	if !strings.ContainsFunc(slug, func(c rune) bool { return !plainInAddress(c) }) {
		return ""
	}
	var b strings.Builder
	hyphen := false // whether a hyphen comes before the next character
	for _, c := range strings.ToLower(strings.ToValidUTF8(slug, " ")) {
		switch {
		case c == '\'' || c == '’':
			continue // it's -> its
		case !plainInAddress(c) || c == '-':
			hyphen = true
			continue
		case hyphen && c != '.' && b.Len() > 0 && !strings.HasSuffix(b.String(), "."):
			b.WriteByte('-')
		}
		hyphen = false
		b.WriteRune(c)
	}
	nice := strings.Trim(b.String(), ".")
	if nice == "" || nice != SlugOf(nice) {
		return ""
	}
	return nice
}

// plainInAddress reports whether a nice address may contain c.
func plainInAddress(c rune) bool {
	return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.M, c) || strings.ContainsRune("._+-", c)
}

// addressHash distinguishes the slugs that have the same [NiceAddress]: six hexadecimal digits.
func addressHash(slug string) string {
	sum := sha256.Sum256([]byte(slug))
	return hex.EncodeToString(sum[:3])
}

// IsAddress reports whether a catalog may give the slug that address: the slug itself, its nice address, or
// its nice address with a hash of the slug.
func IsAddress(address, slug string) bool {
	nice := NiceAddress(slug)
	return address == slug || nice != "" && (address == nice || address == nice+"-"+addressHash(slug))
}

// NiceRef replaces the slug of a reference by its [Catalog.Address]. A reference with a version stays as
// it is, because torrents and signatures contain it.
func NiceRef(c Catalog, ref string) string {
	r := ParseRef(ref)
	if r.Version != "" {
		return ref
	}
	r.Slug = c.Address(r.Slug)
	return r.String()
}

// Address implements [Catalog.Address].
func (x *Index) Address(slug string) string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	nice := NiceAddress(slug)
	switch {
	case nice == "" || len(x.slugs[slug]) == 0:
		return slug
	case len(x.slugs[nice]) == 0 && x.holder(nice) == slug:
		return nice
	}
	return nice + "-" + addressHash(slug)
}

// addressed returns the slug with an address, or "".
func (x *Index) addressed(address string) string {
	if len(x.slugs[address]) > 0 {
		return address
	}
	if slug := x.holder(address); len(x.slugs[slug]) > 0 {
		return slug
	}
	at := strings.LastIndexByte(address, '-')
	if at < 0 {
		return ""
	}
	for _, slug := range x.nice[address[:at]] {
		if addressHash(slug) == address[at+1:] {
			return slug
		}
	}
	return ""
}

// HoldAddress decides which slug has the nice address of slug, unless that is decided: the one that was
// published first. No other slug gets the address later, also when the first one was removed. HoldAddress
// returns the address and the slug that has it; decided is false if slug has no nice address or another call
// has decided.
func (x *Index) HoldAddress(slug string) (nice, holder string, decided bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	nice = NiceAddress(slug)
	if nice == "" || x.held[nice] != "" {
		return nice, x.held[nice], false
	}
	if holder = x.holder(nice); holder == "" {
		return nice, "", false
	}
	x.held[nice] = holder
	return nice, holder, true
}

// SetAddress records what HoldAddress has decided in another process.
func (x *Index) SetAddress(nice, holder string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.held[nice] = holder
}

// holder returns the slug that has a nice address alone, or "": the one that HoldAddress chose, which may
// have been removed, or the one that was published first.
func (x *Index) holder(nice string) string {
	if slug := x.held[nice]; slug != "" {
		return slug
	}
	holder := ""
	var oldest *Release
	for _, slug := range x.nice[nice] {
		for _, r := range x.slugs[slug] {
			if oldest == nil || newestFirst(oldest, r) < 0 {
				holder, oldest = slug, r
			}
		}
	}
	return holder
}

// nameAddress records that a slug was added or removed.
func (x *Index) nameAddress(slug string, added bool) {
	nice := NiceAddress(slug)
	if nice == "" {
		return
	}
	var others []string
	for _, o := range x.nice[nice] {
		if o != slug {
			others = append(others, o)
		}
	}
	if added {
		others = append(others, slug)
	}
	x.nice[nice] = others
	if len(others) == 0 {
		delete(x.nice, nice)
	}
}
