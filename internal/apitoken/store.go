package apitoken

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/filetrust"
	"spate/internal/folder"
	"spate/internal/units"
)

// Limits of a file of tokens.
const (
	maxFile   = 1 << 20 // bytes
	maxTokens = 1000
	maxName   = 64 // bytes
)

// secretLen is the length of a token: 128 bits as hexadecimal digits.
const secretLen = 32

// fileHead is the first line of a file of tokens.
const fileHead = "# The SHA-256 of each token, the name of its user, its scopes and when it expires.\n"

// Errors of [Store.Issue].
var (
	ErrName = errors.New("the name of a token is 1 to 64 printable characters without spaces")
	ErrFull = fmt.Errorf("there are %s already", units.Plural(maxTokens, "token"))
)

// Token is a token without its secret.
type Token struct {
	ID      string // the first 16 hexadecimal digits of the SHA-256 of the secret
	Name    string // of the user, who may have several tokens
	Scopes  Scopes
	Expires time.Time // the token is not valid from then on; zero: never
	hash    [sha256.Size]byte
}

// Store is a file of tokens. The file has a line for each token: the SHA-256 of its secret in
// hexadecimal, the name, and then "scopes=LIST" and "expires=TIME" (RFC 3339). A line without scopes,
// as earlier versions wrote it, is for a token with the scope [Admin]. Only the SHA-256 of a secret
// is kept. The methods are safe for concurrent use.
type Store struct {
	path string
	mu   sync.Mutex // held while the file is read or written
	list atomic.Pointer[[]Token]
}

// Open reads the tokens in the file at path, which need not exist and which only this program writes.
// If the file is damaged, Open renames it, writes a new file with the tokens of its intact lines, and
// describes that in damaged.
func Open(path string) (s *Store, damaged, err error) {
	var intact []Token
	damaged = atomicfile.Load(path, maxFile, func(b []byte) (err error) {
		intact, err = parseIntact(b)
		return err
	})
	var aside *atomicfile.DamagedError
	switch {
	case errors.Is(damaged, fs.ErrNotExist):
		damaged = nil
	case errors.As(damaged, &aside):
		if len(intact) > 0 {
			err = write(path, intact)
		}
		damaged = fmt.Errorf("%w; its intact tokens are kept: %d", damaged, len(intact))
	case damaged != nil:
		return nil, nil, damaged
	}
	s = &Store{path: path}
	s.list.Store(&[]Token{})
	if err == nil {
		err = s.Reload()
	}
	return s, damaged, err
}

// parseIntact returns the tokens of the lines that are intact, and an error about the first that is not.
func parseIntact(b []byte) (list []Token, first error) {
	if len(b) == 0 {
		return nil, errors.New("it is empty") // the first line is a comment
	}
	if b[len(b)-1] != '\n' {
		first = errors.New("it ends in the middle of a line")
	}
	for line := range bytes.Lines(b) {
		if line[len(line)-1] != '\n' {
			break // its end may be missing, and with it a limit
		}
		t, ok, err := parseLine(string(line))
		if err != nil && first == nil {
			first = err
		}
		if ok {
			list = append(list, t)
		}
	}
	return list, first
}

// parse returns the tokens in the content of a file.
func parse(b []byte) (list []Token, err error) {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		t, ok, err := parseLine(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ok {
			list = append(list, t)
		}
	}
	if len(list) > maxTokens {
		return nil, fmt.Errorf("it has %s, and the limit is %d", units.Plural(len(list), "token"), maxTokens)
	}
	return list, nil
}

// parseLine returns the token in a line. ok is false for an empty line and a comment.
func parseLine(line string) (t Token, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return t, false, nil
	}
	sum, rest, _ := strings.Cut(line, " ")
	raw, err := hex.DecodeString(sum)
	if err != nil || len(raw) != sha256.Size {
		return t, false, errors.New("want a SHA-256 and a name")
	}
	fields := strings.Split(rest, " ")
	t = newToken([sha256.Size]byte(raw), fields[0])
	t.Scopes = Admin
	if !validName(t.Name) {
		return t, false, errors.New("want a SHA-256 and a name")
	}
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		switch key { // an unknown field can be a limit of a later version
		case "scopes":
			t.Scopes, err = ParseScopes(value)
		case "expires":
			t.Expires, err = time.Parse(time.RFC3339, value)
		default:
			err = fmt.Errorf("there is no field %q", key)
		}
		if err != nil {
			return t, false, err
		}
	}
	return t, true, nil
}

func newToken(hash [sha256.Size]byte, name string) Token {
	return Token{ID: hex.EncodeToString(hash[:8]), Name: name, hash: hash}
}

// validName reports whether name can be the name of a user.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r > 0x2000 })
}

// Reload reads the file again. On an error the old tokens stay.
func (s *Store) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := filetrust.Check(s.path, filetrust.Power, nil); err != nil {
		return err
	}
	b, err := folder.ReadNamed(s.path, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	list, err := parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.list.Store(&list)
	return nil
}

// Check returns the token with a secret, and false if there is none or it has expired. The time that
// Check takes does not depend on how much of the secret is right.
func (s *Store) Check(secret []byte, now time.Time) (found Token, ok bool) {
	if len(secret) != secretLen {
		return Token{}, false
	}
	hash := sha256.Sum256(secret)
	for _, t := range *s.list.Load() {
		if subtle.ConstantTimeCompare(t.hash[:], hash[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok && found.valid(now)
}

// ByID returns the token with an ID, and false if there is none or it has expired.
func (s *Store) ByID(id string, now time.Time) (Token, bool) {
	for _, t := range *s.list.Load() {
		if t.ID == id {
			return t, t.valid(now)
		}
	}
	return Token{}, false
}

func (t *Token) valid(now time.Time) bool { return t.Expires.IsZero() || now.Before(t.Expires) }

// Issue makes a token and writes the file. The secret cannot be recovered later. Expires is rounded
// down to seconds. The error can be [ErrName] or [ErrFull].
func (s *Store) Issue(name string, scopes Scopes, expires time.Time) (secret string, t Token, err error) {
	if !validName(name) {
		return "", t, ErrName
	}
	var raw [secretLen / 2]byte
	rand.Read(raw[:]) // crypto/rand.Read never returns an error
	secret = hex.EncodeToString(raw[:])
	t = newToken(sha256.Sum256([]byte(secret)), name)
	t.Scopes, t.Expires = scopes, expires.UTC().Truncate(time.Second)
	err = s.change(func(list []Token) ([]Token, error) {
		if len(list) >= maxTokens {
			return nil, ErrFull
		}
		return append(list, t), nil
	})
	return secret, t, err
}

// Revoke removes all tokens of a user and writes the file. It returns the number of removed tokens.
func (s *Store) Revoke(name string) (n int, err error) {
	err = s.change(func(list []Token) ([]Token, error) {
		before := len(list)
		list = slices.DeleteFunc(list, func(t Token) bool { return t.Name == name })
		n = before - len(list)
		return list, nil
	})
	return n, err
}

// List returns all tokens by their names, also those that have expired.
func (s *Store) List() []Token {
	list := slices.Clone(*s.list.Load())
	slices.SortStableFunc(list, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// change applies f to a copy of the tokens, writes the file, and then replaces the tokens.
func (s *Store) change(f func([]Token) ([]Token, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := f(slices.Clone(*s.list.Load()))
	if err != nil {
		return err
	}
	if err := write(s.path, list); err != nil {
		return err
	}
	s.list.Store(&list)
	return nil
}

// write replaces the file at path.
func write(path string, list []Token) error {
	text := fileHead
	for _, t := range list {
		text += hex.EncodeToString(t.hash[:]) + " " + t.Name
		if t.Scopes != Admin {
			text += " scopes=" + t.Scopes.String()
		}
		if !t.Expires.IsZero() {
			text += " expires=" + t.Expires.Format(time.RFC3339)
		}
		text += "\n"
	}
	return atomicfile.Replace(path, []byte(text))
}
