package spate

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadInfoHash is wrapped by every error of [ParseInfoHash] and [ParseInfoHashV2].
var ErrBadInfoHash = errors.New("not an info-hash")

// InfoHash identifies a swarm on the wire. It is the SHA-1 of a v1 info dictionary (BEP
// 3) or the first 20 bytes of the SHA-256 of a v2 one (BEP 52).
type InfoHash [20]byte

// InfoHashV2 is the SHA-256 of a v2 or hybrid info dictionary (BEP 52).
type InfoHashV2 [32]byte

// ParseInfoHash parses an info-hash of 40 hexadecimal or 32 base32 digits (BEP 9) in
// upper or lower case.
func ParseInfoHash(s string) (InfoHash, error) {
	var h InfoHash
	switch len(s) {
	case hex.EncodedLen(len(h)):
		if _, err := hex.Decode(h[:], []byte(s)); err == nil {
			return h, nil
		}
	case base32.StdEncoding.EncodedLen(len(h)):
		if _, err := base32.StdEncoding.Decode(h[:], upper(s)); err == nil {
			return h, nil
		}
	}
	return InfoHash{}, fmt.Errorf("%w: %q (want 40 hexadecimal or 32 base32 digits)", ErrBadInfoHash, clip(s))
}

// ParseInfoHashV2 parses a v2 info-hash of 64 hexadecimal digits in upper or lower
// case.
func ParseInfoHashV2(s string) (InfoHashV2, error) {
	var h InfoHashV2
	if len(s) == hex.EncodedLen(len(h)) {
		if _, err := hex.Decode(h[:], []byte(s)); err == nil {
			return h, nil
		}
	}
	return InfoHashV2{}, fmt.Errorf("%w: %q (want 64 hexadecimal digits)", ErrBadInfoHash, clip(s))
}

// String returns h as 40 lower-case hexadecimal digits.
func (h InfoHash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value, which means that there is no info-hash.
func (h InfoHash) IsZero() bool { return h == InfoHash{} }

// String returns h as 64 lower-case hexadecimal digits.
func (h InfoHashV2) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value, which means that there is no info-hash.
func (h InfoHashV2) IsZero() bool { return h == InfoHashV2{} }

// Truncate returns the first 20 bytes of h, which identify a v2 torrent in handshakes,
// at trackers and in the DHT (BEP 52).
func (h InfoHashV2) Truncate() InfoHash { return InfoHash(h[:20]) }

func upper(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return b
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
