package signature

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/internal/atomicfile"
	"spate/internal/folder"
)

// Known stores the public key of each site: the first key that the site has shown, or a key
// that the user has set. It is kept in a text file with lines "SITE KEY", which users may
// edit. A Known is not safe for concurrent use. If two processes write the file at once, it
// stays intact.
type Known struct {
	path string
	keys map[string]PublicKey
}

// knownFields is the number of words in a line of the known keys.
const knownFields = 2

// maxKnown is the largest file in bytes that is read.
const maxKnown = 4 << 20

// Site returns the name under which the key of the site at u is stored: the host in lower
// case, and the port if it is neither 80 nor 443. HTTP and HTTPS give the same name, so
// that a known key is checked for both.
func Site(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	switch port := u.Port(); {
	case port == "", port == "80", port == "443":
		return host
	default:
		return host + ":" + port
	}
}

// OpenKnown reads the file at path. If there is no such file, no keys are known. A
// malformed line is an error, because skipping it would lose the key of a site.
func OpenKnown(path string) (*Known, error) {
	k := &Known{path: path, keys: map[string]PublicKey{}}
	err := fieldsOf(path, knownFields, "SITE KEY", func(fields []string) error {
		key, err := ParsePublicKey(fields[1])
		k.keys[fields[0]] = key
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Key returns the stored key of site.
func (k *Known) Key(site string) (PublicKey, bool) {
	key, ok := k.keys[site]
	return key, ok
}

// Sites returns the names of all sites in sorted order.
func (k *Known) Sites() []string { return slices.Sorted(maps.Keys(k.keys)) }

// Remember stores key as the key of site in the file. It replaces the previous key.
func (k *Known) Remember(site string, key PublicKey) error {
	if site == "" || strings.ContainsAny(site, " \t\r\n#") {
		return fmt.Errorf("signature: %q is not the name of a site", site)
	}
	return k.change(func(keys map[string]PublicKey) { keys[site] = key })
}

// Forget removes the key of site from the file.
func (k *Known) Forget(site string) error {
	return k.change(func(keys map[string]PublicKey) { delete(keys, site) })
}

// change reads the file again, applies f to its keys and replaces the file atomically.
func (k *Known) change(f func(map[string]PublicKey)) error {
	now, err := OpenKnown(k.path)
	if err != nil {
		return err
	}
	f(now.keys)
	var b bytes.Buffer
	b.WriteString("# The keys of sites. Releases of a site must be signed with its key.\n")
	for _, site := range now.Sites() {
		fmt.Fprintf(&b, "%s %s\n", site, now.keys[site])
	}
	if err := replaceFile(k.path, b.Bytes()); err != nil {
		return err
	}
	k.keys = now.keys
	return nil
}

// replaceFile writes a file atomically. It creates the directory if it is missing.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Replace(path, b)
}

// fieldsOf reads the file at path and calls each for its lines. Each line must have n
// words. Empty lines and lines that start with # are skipped. A missing file has no lines. A
// file without content, or with an incomplete last line, is an error, because lines were lost; but
// users who edit the known keys may leave out the last line break. fieldsOf never blocks. want is the form of a line, for errors.
func fieldsOf(path string, n int, want string, each func(fields []string) error) error {
	text, err := folder.ReadNamed(path, maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is a link to a missing file", path)
		}
		return nil
	}
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty, although it was written with a comment in its first line", path)
	}
	if err != nil {
		return err
	}
	if last := text[bytes.LastIndexByte(text, '\n')+1:]; len(last) > 0 && (n != knownFields || last[0] == '#') {
		return fmt.Errorf("%s ends in the middle of a line", path)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for at := 1; lines.Scan(); at++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != n {
			return fmt.Errorf("%s:%d: the line must have the form %s", path, at, want)
		}
		if err := each(fields); err != nil {
			return fmt.Errorf("%s:%d: %w", path, at, err)
		}
	}
	return lines.Err()
}
