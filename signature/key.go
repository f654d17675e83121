package signature

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"aead.dev/minisign"
)

// Key is the private half: what signs. It is safe for concurrent use.
type Key struct{ key minisign.PrivateKey }

// ErrPassword is the cause when a key is protected by a password and that which
// was given is not it.
var ErrPassword = errors.New("wrong password")

// NewKey makes a key.
func NewKey() (*Key, error) {
	_, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("signature: making a key: %w", err)
	}
	return &Key{private}, nil
}

// Public is the half that is handed out.
func (k *Key) Public() PublicKey {
	return PublicKey{k.key.Public().(minisign.PublicKey)}
}

// File is the content of the key's file, protected by password unless that is
// empty. Protecting takes a second or two and about a GiB of memory, as it must:
// so does guessing.
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

// Protected reports whether a password is needed for the key in the content of a
// file.
func Protected(file []byte) bool { return len(file) <= MaxKey && minisign.IsEncrypted(clean(file)) }

// ParseKey reads the content of a key's file. The errors are [ErrKey] and
// [ErrPassword]. The password of a key without is not looked at.
func ParseKey(file []byte, password string) (*Key, error) {
	if len(file) > MaxKey {
		return nil, fmt.Errorf("%w: %d bytes are too many", ErrKey, len(file))
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
	// Halves that do not belong together would give the private one away.
	probe := []byte("probe")
	if !minisign.Verify(k.Public().key, probe, minisign.Sign(k.key, probe)) {
		return nil, fmt.Errorf("%w: its halves do not belong together", ErrKey)
	}
	return &k, nil
}

// clean is file without what editors and mail add at the end of lines.
func clean(file []byte) []byte {
	return []byte(strings.TrimSpace(strings.ReplaceAll(string(file), "\r\n", "\n")))
}

// Sign returns the content of the signature file for message, which people get
// under the name file and which was signed at the given time.
func (k *Key) Sign(message []byte, file string, at time.Time) []byte {
	return k.SignRelease(message, file, at, Release{})
}

// SignRelease is Sign, and also says of which release message is.
func (k *Key) SignRelease(message []byte, file string, at time.Time, r Release) []byte {
	comment := fmt.Sprintf("timestamp:%d\tfile:%s", at.Unix(), oneWord(file))
	if r.Ref != "" {
		comment += fmt.Sprintf("\trelease:%s\tpublished:%d", url.PathEscape(r.Ref), r.Published.Unix())
	}
	return minisign.SignWithComments(k.key, message, comment+"\thashed", "signature by minisign key "+k.Public().ID())
}

// oneWord is a name for a comment: what would end the line or the field, or what
// a terminal would obey, is replaced.
func oneWord(name string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
}
