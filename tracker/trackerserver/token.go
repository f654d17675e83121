package trackerserver

import (
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
	"spate/internal/folder"
)

// Tokens are the users who may announce. A user's token is random and is part
// of the user's announce URL (/announce/TOKEN, /TOKEN/announce or
// ?token=TOKEN); what is kept of it, in memory and in the file, is its SHA-256.
// The methods may be called concurrently.
type Tokens struct {
	path string
	mu   sync.Mutex // held while the file changes
	byID atomic.Pointer[map[[sha256.Size]byte]string]
}

// tokenLen is the length of a token in characters: 128 bits as hexadecimal.
const tokenLen = 32

// ErrTokenName is the error for a user's name that a list of users cannot hold.
var ErrTokenName = errors.New("a user's name is 1 to 64 printable characters without spaces")

// OpenTokens reads the users in the file at path, which need not exist. The file
// has a line for each token: the hexadecimal SHA-256 of the token and the name.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	t.byID.Store(&map[[sha256.Size]byte]string{})
	return t, t.Reload()
}

// Reload reads the file again. On an error what was read before stays.
func (t *Tokens) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := folder.ReadNamed(t.path, maxListFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	m := map[[sha256.Size]byte]string{}
	err = eachLine(b, func(line string) error {
		sum, name, _ := strings.Cut(line, " ")
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != sha256.Size || !validName(name) {
			return errors.New("want a SHA-256 and a name")
		}
		m[[sha256.Size]byte(raw)] = name
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	t.byID.Store(&m)
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r > 0x2000 })
}

// Check returns the name that goes with token. It allocates nothing, and the
// time it takes tells nothing about tokens, for it looks up their hash.
func (t *Tokens) Check(token []byte) (name string, ok bool) {
	if len(token) != tokenLen {
		return "", false
	}
	name, ok = (*t.byID.Load())[sha256.Sum256(token)]
	return name, ok
}

// Issue makes a token for a user, who may have several, and writes the file. The
// token cannot be told again.
func (t *Tokens) Issue(name string) (token string, err error) {
	if !validName(name) {
		return "", ErrTokenName
	}
	var raw [tokenLen / 2]byte
	rand.Read(raw[:]) // never fails: see crypto/rand
	token = hex.EncodeToString(raw[:])
	return token, t.change(func(m map[[sha256.Size]byte]string) { m[sha256.Sum256([]byte(token))] = name })
}

// Revoke takes back all tokens of a user and writes the file. It returns how
// many they were.
func (t *Tokens) Revoke(name string) (n int, err error) {
	err = t.change(func(m map[[sha256.Size]byte]string) {
		before := len(m)
		maps.DeleteFunc(m, func(_ [sha256.Size]byte, v string) bool { return v == name })
		n = before - len(m)
	})
	return n, err
}

// Users returns the names, each once, sorted.
func (t *Tokens) Users() []string {
	return slices.Compact(slices.Sorted(maps.Values(*t.byID.Load())))
}

// change applies f to a copy of the users, writes that and puts it in force.
func (t *Tokens) change(f func(map[[sha256.Size]byte]string)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := maps.Clone(*t.byID.Load())
	f(m)
	lines := make([]string, 0, len(m))
	for sum, name := range m {
		lines = append(lines, hex.EncodeToString(sum[:])+" "+name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2*sha256.Size:], b[2*sha256.Size:]) })
	if err := atomicfile.Replace(t.path, []byte(strings.Join(lines, ""))); err != nil {
		return err
	}
	t.byID.Store(&m)
	return nil
}
