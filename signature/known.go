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
)

// Known are the keys that sites were first seen with, or that somebody said are
// theirs: a file of lines "SITE KEY", which people may read and change. It is not
// safe for concurrent use; two processes that write at once keep the file whole.
type Known struct {
	path string
	keys map[string]PublicKey
}

// maxKnown bounds the file, in bytes.
const maxKnown = 4 << 20

// Site is the name under which the keys of the site at u are kept: the host in
// lower case, and the port unless it is that of http or https, which are one
// site. So nobody escapes what is known by asking for the other of the two.
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

// OpenKnown reads the file at path. One that is not there is empty. A line that
// is no key is an error: passing over it would forget the site.
func OpenKnown(path string) (*Known, error) {
	k := &Known{path: path, keys: map[string]PublicKey{}}
	err := fieldsOf(path, 2, "SITE KEY", func(fields []string) error {
		key, err := ParsePublicKey(fields[1])
		k.keys[fields[0]] = key
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Key is the key that site is known by.
func (k *Known) Key(site string) (PublicKey, bool) {
	key, ok := k.keys[site]
	return key, ok
}

// Sites lists the sites, in order.
func (k *Known) Sites() []string { return slices.Sorted(maps.Keys(k.keys)) }

// Remember writes that site is known by key, whatever it was known by before.
func (k *Known) Remember(site string, key PublicKey) error {
	if site == "" || strings.ContainsAny(site, " \t\r\n#") {
		return fmt.Errorf("signature: %q is no site", site)
	}
	return k.change(func(keys map[string]PublicKey) { keys[site] = key })
}

// Forget writes that site is known by nothing.
func (k *Known) Forget(site string) error {
	return k.change(func(keys map[string]PublicKey) { delete(keys, site) })
}

// change does what f does to the file as it is now, and writes it in one step.
func (k *Known) change(f func(map[string]PublicKey)) error {
	now, err := OpenKnown(k.path)
	if err != nil {
		return err
	}
	f(now.keys)
	var b bytes.Buffer
	b.WriteString("# The keys of sites, which releases from there must be signed with.\n")
	for _, site := range now.Sites() {
		fmt.Fprintf(&b, "%s %s\n", site, now.keys[site])
	}
	if err := replaceFile(k.path, b.Bytes()); err != nil {
		return err
	}
	k.keys = now.keys
	return nil
}

// replaceFile writes a file in one step, in a directory that need not be there.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Replace(path, b)
}

// fieldsOf reads the lines of the file at path, each n words; what begins with # is
// a comment, and a file that is not there is empty. want says in an error what a
// line should be.
func fieldsOf(path string, n int, want string, each func(fields []string) error) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() > maxKnown {
		err = fmt.Errorf("%s is larger than 4 MiB", path)
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for at := 1; lines.Scan(); at++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != n {
			return fmt.Errorf("%s:%d: a line is %s", path, at, want)
		}
		if err := each(fields); err != nil {
			return fmt.Errorf("%s:%d: %w", path, at, err)
		}
	}
	return lines.Err()
}
