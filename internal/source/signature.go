package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/netguard"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/signature"
)

// KnownKeys is the file in the state directory that records the keys of sites.
const KnownKeys = "known-keys"

// Trust configures which signatures are accepted.
type Trust struct {
	State string               // the state directory, which records the keys of sites
	Key   *signature.PublicKey // the only accepted key; nil: the stored keys of the sites
	// ReadOnly says that the caller only looks at the torrent: no key or release is stored, and
	// the signature of a site without a stored key is not checked.
	ReadOnly bool
}

// check verifies the signature of one source.
type check struct {
	*Resolver
	src   *Source
	state string
	known *signature.Known
	given bool                  // the caller has given the key
	keys  []signature.PublicKey // the torrent must be signed with all of them
	// readOnly is Trust.ReadOnly.
	readOnly bool
}

// CheckSignature returns an error unless the torrent of src is the requested release and is
// signed according to trust. If a site signs and its key is not known yet, CheckSignature
// stores the key. Call it before using the torrent.
func (r *Resolver) CheckSignature(ctx context.Context, src *Source, trust Trust) error {
	if len(src.sites) == 0 && trust.Key == nil {
		return nil
	}
	c := &check{Resolver: r, src: src, state: trust.State, given: trust.Key != nil, readOnly: trust.ReadOnly}
	if err := c.openKnown(); err != nil {
		return err
	}
	if c.given {
		c.keys = append(c.keys, *trust.Key)
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
		return unchecked(fault.New(fault.BadData, "give the page's URL or the .torrent", "%s: a magnet link carries no signature to check", termsafe.Clip(src.Arg, 70)))
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
		c.src.signers, c.src.release = append(c.src.signers, key), st.Release
		c.Notef("signed%s by %s: the signature is valid", signedWhen(st), key)
	}
	if c.given {
		return c.remember(c.keys[0])
	}
	return nil
}

// openKnown reads the known keys of sites. A damaged file stays as it is: without it, a site could
// sign with any key. It is an error only if the source comes from a site and no key is given.
func (c *check) openKnown() (err error) {
	if c.known, err = OpenKnown(c.state, c.Notef); err == nil {
		return nil
	}
	if len(c.src.sites) > 0 && !c.given {
		return unchecked(err)
	}
	c.Notef("%v", err)
	return nil
}

// OpenKnown reads the known keys of sites in a state directory.
func OpenKnown(state string, warn filetrust.Warn) (*signature.Known, error) {
	return openTrust(filepath.Join(state, KnownKeys), "the keys of all sites", signature.OpenKnown, warn)
}

// OpenSeen reads the newest releases of sites in a state directory.
func OpenSeen(state string, warn filetrust.Warn) (*signature.Seen, error) {
	return openTrust(filepath.Join(state, SeenReleases), "the newest releases of all sites", signature.OpenSeen, warn)
}

// openTrust opens a file that decides what is accepted. what would be forgotten without the file.
func openTrust[T any](path, what string, open func(string) (*T, error), warn filetrust.Warn) (*T, error) {
	if err := filetrust.Check(path, filetrust.Power, warn); err != nil {
		return nil, err
	}
	t, err := open(path)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("reading %s: %w", what, err), "correct the file, or move it away, which forgets "+what)
	}
	return t, nil
}

// firstUse verifies the signature of a site without a stored key, if the site names a
// signature, and stores the key.
func (c *check) firstUse(ctx context.Context) error {
	if c.readOnly || c.src.Torrent == nil || c.src.signed.url == nil {
		return nil
	}
	key, err := signature.ParsePublicKey(c.src.signed.key)
	if err != nil {
		return unchecked(fault.New(fault.BadData, "", "%s: the page names a signature, but its public key is invalid", c.src.Arg))
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
	c.src.signers, c.src.release = []signature.PublicKey{key}, st.Release
	c.Notef("signed%s by %s: remembered as the key of %s", signedWhen(st), key, strings.Join(c.src.sites, " and "))
	if u, err := url.Parse(c.src.Arg); err == nil && u.Scheme == "http" && !netguard.LocalHost(u.Hostname()) {
		c.Notef("  the connection was not encrypted, so the key may be forged: compare it with the key that the publisher shows elsewhere")
	}
	return c.remember(key)
}

// remember stores key as the key of the sites of the source.
func (c *check) remember(key signature.PublicKey) error {
	if c.known == nil || c.readOnly { // nil: the file is damaged
		return nil
	}
	for _, site := range c.src.sites {
		if had, ok := c.known.Key(site); ok && had.Equal(key) {
			continue
		}
		if err := c.known.Remember(site, key); err != nil {
			return fault.WithSetting(fmt.Errorf("remembering the key of %s: %w", site, err), "state")
		}
	}
	return nil
}

// refuse returns the error about an invalid signature. want is the expected key.
func (c *check) refuse(want signature.PublicKey, err error) error {
	var other *signature.OtherKeyError
	if !errors.As(err, &other) {
		return fault.New(fault.BadData, "nothing was fetched; try another mirror, or ask the publisher", "%s: %w", c.src.Arg, err)
	}
	if !c.given {
		return &fault.Error{Code: fault.BadData, Err: &KeyChangedError{Site: c.src.sites[0], Want: want, Got: other.ID}, Hint: "nothing was fetched"}
	}
	return fault.New(fault.BadData, "nothing was fetched; ask the publisher which key is theirs", "%s: signed with another key, %s, instead of %s", c.src.Arg, other.ID, want)
}

// unchecked adds the setting that disables the check of signatures.
func unchecked(err error) error { return fault.WithSetting(err, "verify-key") }

// KeyChangedError is the error if a site signs with another key than before.
type KeyChangedError struct {
	Site string
	Want signature.PublicKey
	Got  string // the id of the other key
}

// Error implements error.
func (e *KeyChangedError) Error() string {
	return fmt.Sprintf("the key of %s has changed: it was %s, but this torrent is signed with key %s", e.Site, e.Want, e.Got)
}

// fetch returns the signature of the torrent, from the URL that its site names or from the file
// beside the torrent.
func (c *check) fetch(ctx context.Context) ([]byte, error) {
	unsigned := func(why string) error {
		if c.given {
			return unchecked(fault.New(fault.BadData, "", "%s is not signed: %s", c.src.Arg, why))
		}
		return unchecked(fault.New(fault.BadData, "ask the publisher", "%s is not signed (%s), but torrents from %s must be", c.src.Arg, why, strings.Join(c.src.sites, " and ")))
	}
	if c.src.URL == "" {
		if c.src.Path == "" {
			return nil, fault.UsageHint("save the .torrent and its .minisig in files", "standard input has no signature beside it")
		}
		path := atomicfile.Derived(c.src.Path, signature.Extension)
		sig, err := torrentfile.ReadLimited(path, signature.MaxSignature)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, unsigned("there is no " + path)
		}
		return sig, err
	}
	u := c.src.signed.url
	if u == nil {
		at, err := url.Parse(c.src.URL)
		if err != nil {
			return nil, err
		}
		u = signatureURL(at)
	}
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	sig, err := c.fetchSmall(ctx, c.src, u, signature.MaxSignature)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, unchecked(err)
	case err != nil && fault.CodeOf(err) == fault.NotFound:
		return nil, unsigned(fmt.Sprintf("there is no %s", u.Redacted()))
	}
	return sig, err
}

// signatureURL returns the URL at which the signature of the file at u is expected.
func signatureURL(u *url.URL) *url.URL {
	at := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path + signature.Extension}
	if u.RawPath != "" {
		at.RawPath = u.RawPath + signature.Extension
	}
	return at
}

// day is the layout of dates in messages.
const day = "2 January 2006"

// signedWhen returns when st was signed, as a part of a sentence, or "".
func signedWhen(st signature.Statement) string {
	if st.Time.IsZero() {
		return ""
	}
	return " on " + st.Time.Format(day)
}
