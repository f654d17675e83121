package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"aead.dev/minisign"

	"spate/internal/units"
)

// Key is a private key, which makes signatures. It is safe for concurrent use.
type Key struct{ key minisign.PrivateKey }

// ErrPassword is returned by [ParseKey] if the password of the key is another one.
var ErrPassword = errors.New("wrong password")

// NewKey returns a new random key.
func NewKey() (*Key, error) {
	_, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("signature: making a key: %w", err)
	}
	return &Key{private}, nil
}

// Public returns the public key that belongs to k.
func (k *Key) Public() PublicKey {
	return PublicKey{k.key.Public().(minisign.PublicKey)}
}

// Ed25519 returns k as a plain Ed25519 key, for signatures of other formats. A signature that it
// makes must not be valid as one of minisign: minisign signs 64 bytes of a BLAKE2b hash, and a
// signature of 64 bytes followed by a comment.
func (k *Key) Ed25519() ed25519.PrivateKey {
	const at = 62                  // bytes before the key in a key file: algorithms, salt, limits of scrypt and key number
	text, _ := k.key.MarshalText() // MarshalText never returns an error
	_, text, _ = bytes.Cut(text, []byte("\n"))
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	base64.StdEncoding.Decode(b, text)
	return ed25519.PrivateKey(b[at : at+ed25519.PrivateKeySize])
}

// File returns the content of a key file for k. If password is not empty, the key is
// encrypted with it. The encryption takes one or two seconds and about 1 GiB of memory, so
// that each guess of a password takes as much.
func (k *Key) File(password string) ([]byte, error) {
	text, err := k.key.MarshalText()
	if password != "" {
		text, err = minisign.EncryptKey(password, k.key)
	}
	if err != nil {
		return nil, fmt.Errorf("signature: writing a key: %w", err)
	}
	return append(text, '\n'), nil
}

// Protected reports whether the content of a key file is encrypted with a password.
func Protected(file []byte) bool { return len(file) <= MaxKey && minisign.IsEncrypted(clean(file)) }

// ParseKey parses the content of a key file. password is ignored if the key is not
// encrypted. The error wraps [ErrKey], or is [ErrPassword].
func ParseKey(file []byte, password string) (*Key, error) {
	if len(file) > MaxKey {
		return nil, fmt.Errorf("%w: %s exceed the limit of %d", ErrKey, units.Plural(len(file), "byte"), MaxKey)
	}
	file = clean(file)
	var k Key
	var err error
	if minisign.IsEncrypted(file) {
		if k.key, err = minisign.DecryptKey(password, file); err != nil {
			return nil, ErrPassword
		}
	} else if err = k.key.UnmarshalText(file); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrKey, strings.TrimPrefix(err.Error(), "minisign: "))
	}
	// If the public key does not match the private key, a signature would reveal the
	// private key.
	probe := []byte("probe")
	if !minisign.Verify(k.Public().key, probe, minisign.Sign(k.key, probe)) {
		return nil, fmt.Errorf("%w: the private and the public key do not match", ErrKey)
	}
	return &k, nil
}

// clean removes surrounding space and the carriage returns that editors and mail
// programs add.
func clean(file []byte) []byte {
	return []byte(strings.TrimSpace(strings.ReplaceAll(string(file), "\r\n", "\n")))
}

// Sign signs message and returns the content of the signature file. file is the name of the
// file that people download, and at is the time of the signature. The signature covers
// both.
func (k *Key) Sign(message []byte, file string, at time.Time) []byte {
	return k.SignRelease(message, file, at, Release{})
}

// SignRelease is like [Key.Sign]. The signature also covers the release r that message
// belongs to.
func (k *Key) SignRelease(message []byte, file string, at time.Time, r Release) []byte {
	comment := fmt.Sprintf("timestamp:%d\tfile:%s", at.Unix(), oneWord(file))
	if r.Ref != "" {
		comment += fmt.Sprintf("\trelease:%s\tpublished:%d", url.PathEscape(r.Ref), r.Published.Unix())
	}
	return minisign.SignWithComments(k.key, message, comment+"\thashed", "signature by minisign key "+k.Public().ID())
}

// oneWord replaces the characters of a name that would end the line or the field of a
// comment, and characters that control a terminal.
func oneWord(name string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
}
