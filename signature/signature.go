// Package signature makes and checks minisign signatures. They are made with Ed25519 over
// the file, and over a comment that contains the file name and the time. The program
// minisign can verify signatures of this package, and this package can verify signatures of
// minisign.
//
// A signature proves who made a release, so that pages and mirrors need not be trusted. The
// caller decides which key to trust; [Known] stores a key for each site.
package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aead.dev/minisign"

	"spate/internal/units"
)

// Limits on the length of input, in bytes.
const (
	MaxKey       = 4 << 10  // a key or a key file
	MaxSignature = 16 << 10 // a signature file; its comments may be long
)

// Extension is appended to the name of a file to get the name of its signature.
const Extension = ".minisig"

// PublicKey is a key that signatures are checked with. Use [PublicKey.Equal] to compare
// keys, and [PublicKey.String] to show one.
type PublicKey struct{ key minisign.PublicKey }

// String returns the key in the format of minisign: 56 base64 characters.
func (k PublicKey) String() string { return k.key.String() }

// ID returns the key number as minisign shows it. The maker of a key can choose its number,
// so the number proves nothing.
func (k PublicKey) ID() string { return keyID(k.key.ID()) }

// Ed25519 returns k as a plain Ed25519 key, for signatures of other formats.
func (k PublicKey) Ed25519() ed25519.PublicKey {
	b, _ := base64.StdEncoding.DecodeString(k.String()) // String returns valid base64
	return b[len(b)-ed25519.PublicKeySize:]
}

// File returns the content of a public key file in the format of minisign.
func (k PublicKey) File() []byte {
	text, _ := k.key.MarshalText() // MarshalText never returns an error
	return append(text, '\n')
}

// Equal reports whether both are the same key.
func (k PublicKey) Equal(o PublicKey) bool { return k.key.Equal(o.key) }

// ErrKey is wrapped by the errors for malformed keys.
var ErrKey = errors.New("not a minisign key")

// ParsePublicKey parses the 56 characters of a public key, or the content of its file.
// The error wraps [ErrKey].
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) > MaxKey {
		return PublicKey{}, fmt.Errorf("%w: %s exceed the limit of %d", ErrKey, units.Plural(len(text), "byte"), MaxKey)
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if comment, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(comment, "untrusted comment:") {
		text = strings.TrimSpace(rest)
	}
	if strings.ContainsAny(text, "\r\n") { // the base64 decoder would skip them
		return PublicKey{}, fmt.Errorf("%w: more than one line", ErrKey)
	}
	var k PublicKey
	if err := k.key.UnmarshalText([]byte(text)); err != nil {
		return PublicKey{}, fmt.Errorf("%w: it should have 56 characters and begin with RW", ErrKey)
	}
	return k, nil
}

// The errors of [Verify], besides [OtherKeyError].
var (
	// ErrMalformed is wrapped by the errors for signatures with bad syntax.
	ErrMalformed = errors.New("not a minisign signature")
	// ErrMismatch is returned if the data or the comment differ from what was signed.
	ErrMismatch = errors.New("the signature does not match the data")
)

// OtherKeyError is returned if a signature was made with another key than the expected one.
type OtherKeyError struct{ ID string }

// Error implements error.
func (e *OtherKeyError) Error() string { return "signed with another key, " + e.ID }

// Statement holds the content of a valid signature.
type Statement struct {
	Key     PublicKey // the key that made the signature
	Comment string    // the signed comment, one line
	File    string    // the signed name of the file; empty if the comment has none
	Time    time.Time // the time of the signature; zero if the comment has none
	Release Release   // the release that the file belongs to; zero if the comment has none
}

// Release identifies a release of a site. It is part of the signature, so that a site
// cannot pass off one release as another, or an old release as the newest one.
type Release struct {
	Ref       string    // the full reference of the release on its site
	Published time.Time // the time of publication, in whole seconds; it does not change when the release is signed again
}

// Verify checks that sig is a signature of message by key and returns the content of sig.
// The error wraps [ErrMalformed], is an *[OtherKeyError], or is [ErrMismatch].
func Verify(key PublicKey, message, sig []byte) (Statement, error) {
	s, err := parse(sig)
	if err != nil {
		return Statement{}, err
	}
	if s.KeyID != key.key.ID() {
		return Statement{}, &OtherKeyError{keyID(s.KeyID)}
	}
	if !minisign.Verify(key.key, message, sig) {
		return Statement{}, ErrMismatch
	}
	st := Statement{Key: key, Comment: s.TrustedComment}
	for _, field := range strings.Split(s.TrustedComment, "\t") {
		name, value, _ := strings.Cut(field, ":")
		switch {
		case name == "file" && st.File == "":
			st.File = value
		case name == "timestamp" && st.Time.IsZero():
			st.Time = unixTime(value)
		case name == "published" && st.Release.Published.IsZero():
			st.Release.Published = unixTime(value)
		case name == "release" && st.Release.Ref == "":
			if ref, err := url.PathUnescape(value); err == nil {
				st.Release.Ref = ref
			}
		}
	}
	return st, nil
}

// unixTime parses seconds since 1970. It returns the zero time if s is malformed.
func unixTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n >= 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// parse parses a signature, which must have exactly four lines.
func parse(sig []byte) (s minisign.Signature, err error) {
	if len(sig) > MaxSignature {
		return s, fmt.Errorf("%w: %s exceed the limit of %d", ErrMalformed, units.Plural(len(sig), "byte"), MaxSignature)
	}
	if n := strings.Count(strings.TrimRight(string(sig), "\r\n"), "\n"); n != 3 {
		return s, fmt.Errorf("%w: it has %s instead of four", ErrMalformed, units.Plural(n+1, "line"))
	}
	if err := s.UnmarshalText(sig); err != nil {
		return s, fmt.Errorf("%w: %s", ErrMalformed, strings.TrimPrefix(err.Error(), "minisign: "))
	}
	return s, nil
}

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }
