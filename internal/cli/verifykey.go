package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/signature"
)

// knownKeys is the file in the state directory that remembers the keys of sites.
const knownKeys = "known-keys"

// publicKeyOf reads the value of --verify-key: a key, or the file of one.
func publicKeyOf(value string) (signature.PublicKey, error) {
	key, err := signature.ParsePublicKey(value)
	if err == nil {
		return key, nil
	}
	text, ferr := readSmall(value, signature.MaxKey)
	if errors.Is(ferr, fs.ErrNotExist) {
		return key, fault.UsageHint("write the 56 characters that begin with RW, or the file that has them", "--verify-key %s is neither a minisign key nor a file", termsafe.Clip(value, 70))
	}
	if ferr == nil {
		key, ferr = signature.ParsePublicKey(string(text))
	}
	if ferr != nil {
		return key, fault.Usagef("--verify-key %s: %w", value, ferr)
	}
	return key, nil
}

// readSmall reads a file of at most most bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return b, err
}

// signatureCheck holds a source's torrent against its signature.
type signatureCheck struct {
	app   *app
	src   *source
	bind  netip.Addr
	state string
	known *signature.Known
	given bool                  // the key comes from --verify-key
	keys  []signature.PublicKey // all of which it must be signed with
}

// checkSignature fails with [fault.BadData] unless the torrent of src is the release
// that was asked for and is signed as it has to be: with the key in verifyKey, or
// with the keys that its sites are known by. The key of a site that signs and is not
// known yet is remembered. Nothing of the torrent may be believed before.
func (a *app) checkSignature(ctx context.Context, src *source, verifyKey, state string, bind netip.Addr) error {
	if strings.EqualFold(verifyKey, "off") {
		return nil
	}
	c := &signatureCheck{app: a, src: src, bind: bind, state: state, given: verifyKey != ""}
	var err error
	if c.known, err = signature.OpenKnown(filepath.Join(state, knownKeys)); err != nil {
		return fault.WithHint(fmt.Errorf("the keys of sites: %w", err), "correct the file; --verify-key off goes without it")
	}
	if c.given {
		key, err := publicKeyOf(verifyKey)
		if err != nil {
			return err
		}
		c.keys = append(c.keys, key)
	} else {
		for _, site := range src.sites {
			if key, ok := c.known.Key(site); ok {
				c.keys = append(c.keys, key)
			}
		}
	}
	if len(c.keys) == 0 {
		return c.firstUse(ctx)
	}
	if src.Torrent == nil {
		if !c.given && src.sites == nil {
			return nil
		}
		return fault.New(fault.BadData, c.accept("give the page's URL or the .torrent"), "%s: a magnet link carries no signature to check", termsafe.Clip(src.Arg, 70))
	}
	sig, err := c.fetch(ctx)
	if err != nil {
		return err
	}
	for _, key := range c.keys {
		st, err := signature.Verify(key, src.Torrent, sig)
		if err != nil {
			return c.refuse(key, err)
		}
		if err := c.checkRelease(st); err != nil {
			return err
		}
		a.Notef("signed%s by %s, as it should be", signedWhen(st), key)
	}
	if c.given {
		return c.remember(c.keys[0])
	}
	return nil
}

// firstUse checks the signature of a site that no key is known of, if it has
// one, and remembers its key.
func (c *signatureCheck) firstUse(ctx context.Context) error {
	if c.src.Torrent == nil || c.src.signed.url == nil {
		return nil
	}
	key, err := signature.ParsePublicKey(c.src.signed.key)
	if err != nil {
		return fault.New(fault.BadData, c.accept(""), "%s: it is said to be signed, but by what is no key", c.src.Arg)
	}
	sig, err := c.fetch(ctx)
	if err != nil {
		return err
	}
	st, err := signature.Verify(key, c.src.Torrent, sig)
	if err != nil {
		return c.refuse(key, err)
	}
	if err := c.checkRelease(st); err != nil {
		return err
	}
	c.app.Notef("signed%s by %s: remembered as the key of %s", signedWhen(st), key, strings.Join(c.src.sites, " and "))
	if u, err := url.Parse(c.src.Arg); err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		c.app.Notef("  over http anybody between could have put theirs there: compare it with what the publisher says elsewhere")
	}
	return c.remember(key)
}

// remember writes down that the sites of the source have key.
func (c *signatureCheck) remember(key signature.PublicKey) error {
	for _, site := range c.src.sites {
		if had, ok := c.known.Key(site); ok && had.Equal(key) {
			continue
		}
		if err := c.known.Remember(site, key); err != nil {
			return fault.WithHint(fmt.Errorf("remembering the key of %s: %w", site, err), "choose another directory with --state DIR")
		}
	}
	return nil
}

// refuse says why the signature does not hold, and what to do if it should.
func (c *signatureCheck) refuse(want signature.PublicKey, err error) error {
	var other *signature.OtherKeyError
	if !errors.As(err, &other) {
		return fault.New(fault.BadData, "nothing was fetched; try another mirror, or ask the publisher", "%s: %w", c.src.Arg, err)
	}
	if !c.given {
		what := fmt.Sprintf("the key of %s has changed: it was %s, and this is signed with another, %s", c.src.sites[0], want, other.ID)
		hint := "nothing was fetched; if the publisher says that the key is new: the same command with --verify-key KEY, which is then remembered"
		return fault.New(fault.BadData, hint, "%s", what)
	}
	return fault.New(fault.BadData, "nothing was fetched; ask the publisher which key is theirs", "%s: signed with another key, %s, and not with %s", c.src.Arg, other.ID, want)
}

// accept is a hint that ends with how to go without a signature.
func (c *signatureCheck) accept(hint string) string {
	if hint != "" {
		hint += "; "
	}
	return hint + "--verify-key off fetches it all the same, unchecked"
}

// fetch returns the signature of the torrent: what its site names or what lies
// beside it.
func (c *signatureCheck) fetch(ctx context.Context) ([]byte, error) {
	unsigned := func(why string) error {
		if c.given {
			return fault.New(fault.BadData, c.accept(""), "%s is not signed: %s", c.src.Arg, why)
		}
		return fault.New(fault.BadData, c.accept("ask the publisher"), "%s is not signed (%s), but what comes from %s has to be", c.src.Arg, why, strings.Join(c.src.sites, " and "))
	}
	if c.src.URL == "" {
		if c.src.Arg == "-" {
			return nil, fault.UsageHint("save the .torrent and its .minisig in files", "--verify-key: standard input has no signature beside it")
		}
		sig, err := readSmall(c.src.Arg+signature.Extension, signature.MaxSignature)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, unsigned("there is no " + c.src.Arg + signature.Extension)
		}
		return sig, err
	}
	u := c.src.signed.url
	if u == nil {
		var err error
		if u, err = url.Parse(c.src.URL); err != nil {
			return nil, err
		}
		u.Path, u.RawPath, u.RawQuery, u.Fragment = u.EscapedPath()+signature.Extension, "", "", ""
		if u, err = url.Parse(u.Scheme + "://" + u.Host + u.Path); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	f := c.app.newFetcher(c.bind)
	f.within = c.src.reach
	defer f.client.Close()
	resp, err := f.get(ctx, u)
	if err != nil {
		if fault.CodeOf(err) == fault.NotFound {
			return nil, unsigned(fmt.Sprintf("there is no %s", u.Redacted()))
		}
		return nil, err
	}
	defer resp.Body.Close()
	sig, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, signature.MaxSignature))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fault.New(fault.BadData, c.accept(""), "%s: %w", u.Redacted(), err)
	case err != nil: // the connection ended, which says nothing of the signature
		return nil, fault.New(fault.Network, "", "%s: %w", u.Redacted(), err)
	}
	return sig, nil
}

// day is how a date is written for people.
const day = "2 January 2006"

// signedWhen is when something was signed, as part of a sentence.
func signedWhen(st signature.Statement) string {
	if st.Time.IsZero() {
		return ""
	}
	return " on " + st.Time.Format(day)
}

// loopbackHost reports whether a URL's host is this machine.
func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
