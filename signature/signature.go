// Package signature signs what is published, and checks what was fetched, with
// minisign keys: Ed25519 over the file, and over a comment that says its name and
// when it was signed. The program minisign verifies what this package signs, and
// the other way round.
//
// A signature says who made a release, and nothing of who served it: a page, a
// mirror or somebody between may be anybody. Whose key to believe is for the
// caller to know; [Known] remembers it for each site.
package signature

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aead.dev/minisign"
)

// Bounds of what is read from outside, in bytes.
const (
	MaxKey       = 4 << 10  // a key, or the file of one
	MaxSignature = 16 << 10 // a signature: its comments may be long
)

// Extension is what the name of a signature has after the name of its file.
const Extension = ".minisig"

// PublicKey is the key that signatures are checked with. It is a value, and
// [PublicKey.String] is its only form: what people hand out.
type PublicKey struct{ key minisign.PublicKey }

// String is the key as minisign writes it: 56 characters of base64.
func (k PublicKey) String() string { return k.key.String() }

// ID is the key's number as minisign shows it. It is a label, chosen by whoever
// made the key, and proves nothing.
func (k PublicKey) ID() string { return keyID(k.key.ID()) }

// File is the key as the content of a file, as minisign writes it.
func (k PublicKey) File() []byte {
	text, _ := k.key.MarshalText() // never fails
	return append(text, '\n')
}

// Equal reports whether both are the same key.
func (k PublicKey) Equal(o PublicKey) bool { return k.key.Equal(o.key) }

// ErrKey is the cause when something is no key.
var ErrKey = errors.New("not a minisign key")

// ParsePublicKey reads a key: its 56 characters, or the content of its file.
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) > MaxKey {
		return PublicKey{}, fmt.Errorf("%w: %d bytes are too many", ErrKey, len(text))
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if comment, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(comment, "untrusted comment:") {
		text = strings.TrimSpace(rest)
	}
	if strings.ContainsAny(text, "\r\n") { // base64 would pass over them
		return PublicKey{}, fmt.Errorf("%w: more than one line", ErrKey)
	}
	var k PublicKey
	if err := k.key.UnmarshalText([]byte(text)); err != nil {
		return PublicKey{}, fmt.Errorf("%w: it should have 56 characters and begin with RW", ErrKey)
	}
	return k, nil
}

// What a signature fails by, beside being of another key.
var (
	// ErrMalformed is the cause when something is no signature at all.
	ErrMalformed = errors.New("not a minisign signature")
	// ErrMismatch is the cause when the data is not what was signed, or the
	// comment is not.
	ErrMismatch = errors.New("the signature does not hold: this is not what was signed")
)

// OtherKeyError says that a signature is by a key that is not believed.
type OtherKeyError struct{ ID string }

// Error implements error.
func (e *OtherKeyError) Error() string { return "signed with another key, " + e.ID }

// Statement is what a signature that holds says.
type Statement struct {
	Key     PublicKey // who
	Comment string    // as it was signed, of one line
	File    string    // the name of the file that was signed; "" if it is not said
	Time    time.Time // when; zero if it is not said
	Release Release   // of which release; zero if it is not said
}

// Release says which release of a site something is of. It is signed, so that who
// has the site cannot give out one for another, or an older one for the newest.
type Release struct {
	Ref       string    // its reference there, in full
	Published time.Time // to the second; signing again does not change it
}

// Verify checks that sig is a signature of message by key. The errors are
// [ErrMalformed], [OtherKeyError] and [ErrMismatch].
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

// unixTime reads seconds since 1970; zero if they are none.
func unixTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n >= 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// parse reads a signature, strictly: four lines and nothing else.
func parse(sig []byte) (s minisign.Signature, err error) {
	if len(sig) > MaxSignature {
		return s, fmt.Errorf("%w: %d bytes are too many", ErrMalformed, len(sig))
	}
	if n := strings.Count(strings.TrimRight(string(sig), "\r\n"), "\n"); n != 3 {
		return s, fmt.Errorf("%w: it has %d lines, not four", ErrMalformed, n+1)
	}
	if err := s.UnmarshalText(sig); err != nil {
		return s, fmt.Errorf("%w: %s", ErrMalformed, strings.TrimPrefix(err.Error(), "minisign: "))
	}
	return s, nil
}

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }
