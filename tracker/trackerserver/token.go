package trackerserver

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"spate/internal/atomicfile"
	"spate/internal/filetrust"
	"spate/internal/folder"
)

// Tokens are the users of a private tracker. Each user has random tokens, which are part of
// the user's announce URL: /announce/TOKEN, /TOKEN/announce or /announce?token=TOKEN. Only
// the SHA-256 of a token is kept, in memory and in the file. The methods are safe for
// concurrent use.
type Tokens struct {
	path  string
	mu    sync.Mutex                                   // held while the file is read or written
	users atomic.Pointer[map[[sha256.Size]byte]string] // names by the SHA-256 of the token
}

// tokenLen is the length of a token: 128 bits as hexadecimal digits.
const tokenLen = 32

// tokensHead is the first line of the file.
const tokensHead = "# The SHA-256 of each token, and the name of its user.\n"

// ErrTokenName is returned for an invalid name of a user.
var ErrTokenName = errors.New("a user's name is 1 to 64 printable characters without spaces")

// OpenTokens reads the users in the file at path, which need not exist. The file has a
// line for each token: its SHA-256 in hexadecimal, a space and the name of the user.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	t.users.Store(&map[[sha256.Size]byte]string{})
	return t, t.Reload()
}

// RepairTokens is like [OpenTokens] for a file that only this program writes. If the file is
// damaged, RepairTokens renames it, writes a new file with the tokens of its intact lines, and
// describes that in damaged. An empty file is damaged, because this program writes a comment in
// the first line.
func RepairTokens(path string) (t *Tokens, damaged, err error) {
	intact := map[[sha256.Size]byte]string{}
	damaged = atomicfile.Load(path, maxListFile, func(b []byte) error {
		if len(b) == 0 {
			return errors.New("it is empty")
		}
		var first error
		if b[len(b)-1] != '\n' {
			first = errors.New("it ends in the middle of a line")
		}
		for line := range bytes.Lines(b) {
			if line[len(line)-1] != '\n' {
				break // its name may be incomplete
			}
			if err := parseTokens(line, intact); first == nil {
				first = err
			}
		}
		return first
	})
	var aside *atomicfile.DamagedError
	switch {
	case errors.Is(damaged, fs.ErrNotExist):
		damaged = nil
	case errors.As(damaged, &aside):
		if len(intact) > 0 {
			err = writeTokens(path, intact)
		}
		damaged = fmt.Errorf("%w; %d intact tokens of it are kept", damaged, len(intact))
	case damaged != nil:
		return nil, nil, damaged
	}
	if err == nil {
		t, err = OpenTokens(path)
	}
	return t, damaged, err
}

// Reload reads the file again. On an error the old users stay.
func (t *Tokens) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := filetrust.Check(t.path, filetrust.Power, nil); err != nil {
		return err
	}
	b, err := folder.ReadNamed(t.path, maxListFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	m := map[[sha256.Size]byte]string{}
	if err := parseTokens(b, m); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	t.users.Store(&m)
	return nil
}

// parseTokens adds the users in the lines of b to m.
func parseTokens(b []byte, m map[[sha256.Size]byte]string) error {
	return eachLine(b, func(line string) error {
		sum, name, _ := strings.Cut(line, " ")
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != sha256.Size || !validName(name) {
			return errors.New("want a SHA-256 and a name")
		}
		m[[sha256.Size]byte(raw)] = name
		return nil
	})
}

// validName reports whether name is valid as the name of a user.
func validName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r > 0x2000 })
}

// Check returns the name of the user of a token. It allocates nothing. The time that it
// takes reveals nothing about valid tokens, because it looks up the hash of the token.
func (t *Tokens) Check(token []byte) (name string, ok bool) {
	if len(token) != tokenLen {
		return "", false
	}
	name, ok = (*t.users.Load())[sha256.Sum256(token)]
	return name, ok
}

// Issue creates a token for a user, who may have several, and writes the file. The token
// cannot be recovered later. The error can be [ErrTokenName].
func (t *Tokens) Issue(name string) (token string, err error) {
	if !validName(name) {
		return "", ErrTokenName
	}
	var raw [tokenLen / 2]byte
	rand.Read(raw[:]) // crypto/rand.Read never returns an error
	token = hex.EncodeToString(raw[:])
	return token, t.change(func(m map[[sha256.Size]byte]string) { m[sha256.Sum256([]byte(token))] = name })
}

// Revoke removes all tokens of a user and writes the file. It returns the number of removed
// tokens.
func (t *Tokens) Revoke(name string) (n int, err error) {
	err = t.change(func(m map[[sha256.Size]byte]string) {
		before := len(m)
		maps.DeleteFunc(m, func(_ [sha256.Size]byte, v string) bool { return v == name })
		n = before - len(m)
	})
	return n, err
}

// Users returns the sorted names of the users.
func (t *Tokens) Users() []string {
	return slices.Compact(slices.Sorted(maps.Values(*t.users.Load())))
}

// change applies f to a copy of the users, writes the file, and then replaces the users.
func (t *Tokens) change(f func(map[[sha256.Size]byte]string)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := maps.Clone(*t.users.Load())
	f(m)
	if err := writeTokens(t.path, m); err != nil {
		return err
	}
	t.users.Store(&m)
	return nil
}

// writeTokens replaces the file at path.
func writeTokens(path string, m map[[sha256.Size]byte]string) error {
	lines := make([]string, 0, len(m))
	for sum, name := range m {
		lines = append(lines, hex.EncodeToString(sum[:])+" "+name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2*sha256.Size:], b[2*sha256.Size:]) })
	return atomicfile.Replace(path, []byte(tokensHead+strings.Join(lines, "")))
}
