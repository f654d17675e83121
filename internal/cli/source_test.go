package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spate/internal/source"
	"spate/signature"
)

const (
	someTorrent   = "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	torrentType   = "application/x-bittorrent"
	signatureType = "application/x-minisign"
)

// signedSite is a site whose answers a test can change, as an attacker on the network or on
// the site would.
type signedSite struct {
	*httptest.Server
	torrent, sig []byte
	key          string // the public key that the site announces
	status       int    // of the response with the signature; 0: 200
	cut          bool   // close the connection within the signature
	announces    bool
}

func newSignedSite(t *testing.T, key *signature.Key) *signedSite {
	t.Helper()
	s := &signedSite{torrent: []byte(someTorrent), announces: true}
	s.sign(key)
	mux := http.NewServeMux()
	mux.HandleFunc("/r/{ref}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<link rel=alternate type="%s" href="/t/a.torrent">`, torrentType)
		if s.announces {
			fmt.Fprintf(w, `<link rel=describedby type="%s" href="/t/a.torrent.minisig" data-key="%s">`, signatureType, s.key)
		}
	})
	torrent := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", torrentType)
		w.Write(s.torrent)
	}
	sig := func(w http.ResponseWriter, _ *http.Request) {
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
		if s.cut {
			w.Header().Set("Content-Length", strconv.Itoa(len(s.sig)+1))
		}
		w.Write(s.sig)
	}
	for _, dir := range []string{"/t/", "/dl/"} {
		mux.HandleFunc(dir+"a.torrent", torrent)
		mux.HandleFunc(dir+"a.torrent.minisig", sig)
	}
	mux.HandleFunc("/r/magnet", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567">m</a>`)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// sign signs the torrent of the site with key, and announces the signature.
func (s *signedSite) sign(key *signature.Key) {
	s.sig, s.key = key.Sign(s.torrent, "a.torrent", time.Unix(1_800_000_000, 0)), key.Public().String()
}

// check resolves arg and checks its signature, as get does.
func check(state, arg, verifyKey string) (code int, said string) {
	var stderr bytes.Buffer
	a := newApp(Env{Stderr: &stderr, Now: time.Now})
	a.SetLevel()
	_, err := a.resolve(context.Background(), arg, &sourceFlags{bind: addrValue{netip.MustParseAddr("127.0.0.1")}, key: verifyKey, state: state})
	return a.report(err), stderr.String()
}

func newKey(t *testing.T) *signature.Key {
	t.Helper()
	k, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeysOfSites checks that the key of a site is stored at the first use, and that later
// torrents of the site are checked with it even if the site announces something else.
func TestKeysOfSites(t *testing.T) {
	t.Parallel()
	good, evil := newKey(t), newKey(t)
	for name, c := range map[string]struct {
		attack func(t *testing.T, s *signedSite) (path string)
		code   int
		says   string
	}{
		"nothing":       {func(*testing.T, *signedSite) string { return "/r/a" }, 0, "the signature is valid"},
		"from the file": {func(*testing.T, *signedSite) string { return "/t/a.torrent" }, 0, "the signature is valid"},
		"another key": {func(_ *testing.T, s *signedSite) string {
			s.sign(evil)
			return "/r/a"
		}, CodeBadData, "--verify-key KEY"},
		"the key announced, another signs": {func(_ *testing.T, s *signedSite) string {
			s.sign(evil)
			s.key = good.Public().String()
			return "/r/a"
		}, CodeBadData, "has changed"},
		"another torrent": {func(_ *testing.T, s *signedSite) string {
			s.torrent = bytes.Replace(s.torrent, []byte("name1:a"), []byte("name1:b"), 1)
			return "/r/a"
		}, CodeBadData, "the signature does not match the data"},
		"the signature of another release": {func(_ *testing.T, s *signedSite) string {
			s.sig = good.Sign([]byte("d4:infod4:name1:bee"), "b.torrent", time.Now())
			return "/r/a"
		}, CodeBadData, "the signature does not match the data"},
		"stripped": {func(_ *testing.T, s *signedSite) string {
			s.announces, s.status = false, http.StatusNotFound
			return "/r/a"
		}, CodeBadData, "is not signed"},
		"a page instead": {func(_ *testing.T, s *signedSite) string {
			s.sig = []byte("<html>\n<p>\nhello\n</html>\n")
			return "/r/a"
		}, CodeBadData, "not a minisign signature"},
		"endless": {func(_ *testing.T, s *signedSite) string {
			s.sig = bytes.Repeat([]byte("x"), 1<<20)
			return "/r/a"
		}, CodeBadData, "too large"},
		"only a magnet link": {func(*testing.T, *signedSite) string { return "/r/magnet" }, CodeBadData, "a magnet link carries no signature"},
		"redirected": {func(t *testing.T, s *signedSite) string {
			other := newSignedSite(t, evil)
			s.Config.Handler = http.RedirectHandler(other.URL+"/r/a", http.StatusFound)
			return "/r/a"
		}, CodeBadData, "has changed"},
		"redirected, unsigned": {func(t *testing.T, s *signedSite) string {
			other := newSignedSite(t, evil)
			other.announces, other.status = false, http.StatusNotFound
			s.Config.Handler = http.RedirectHandler(other.URL+"/r/a", http.StatusFound)
			return "/r/a"
		}, CodeBadData, "is not signed"},
		"broken site": {func(_ *testing.T, s *signedSite) string {
			s.status = http.StatusServiceUnavailable
			return "/r/a"
		}, CodeNetwork, "503"},
		"the connection ends": {func(_ *testing.T, s *signedSite) string {
			s.cut = true
			return "/r/a"
		}, CodeNetwork, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, state := newSignedSite(t, good), t.TempDir()
			if code, said := check(state, s.URL+"/r/a", ""); code != 0 || !strings.Contains(said, "remembered as the key of 127.0.0.1:") {
				t.Fatalf("first use: exit code %d\n%s", code, said)
			}
			path := c.attack(t, s)
			code, said := check(state, s.URL+path, "")
			lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(said), "\n"), func(line string) bool { return strings.Contains(line, "; asking again in ") })
			if code != c.code || !strings.Contains(said, c.says) || len(lines) > 2 {
				t.Errorf("exit code %d, want %d and %q in two lines:\n%s", code, c.code, c.says, said)
			}
			// In all cases the stored key stays the same.
			known, err := signature.OpenKnown(filepath.Join(state, source.KnownKeys))
			if err != nil {
				t.Fatal(err)
			}
			for _, site := range known.Sites() {
				if key, _ := known.Key(site); !key.Equal(good.Public()) {
					t.Errorf("the stored key of %s has changed", site)
				}
			}
		})
	}
}

// TestKeyGiven checks that --verify-key replaces the stored key of the site.
func TestKeyGiven(t *testing.T) {
	t.Parallel()
	old, fresh := newKey(t), newKey(t)
	s, state := newSignedSite(t, old), t.TempDir()
	file := filepath.Join(t.TempDir(), "publisher.pub")
	if err := os.WriteFile(file, fresh.Public().File(), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		what string
		key  string
		code int
		do   func()
	}{
		{"first use", "", 0, nil},
		{"the wrong key is named", fresh.Public().String(), CodeBadData, nil},
		{"the site changes its key", "", CodeBadData, func() { s.sign(fresh) }},
		{"the old one is named", old.Public().String(), CodeBadData, nil},
		{"unchecked", "off", 0, nil},
		{"unchecked changes nothing", "", CodeBadData, nil},
		{"the new one is named in a file", file, 0, nil},
		{"and remembered", "", 0, nil},
		{"a typing error", "RWabc", CodeUsage, nil},
		{"the signature goes away", fresh.Public().String(), CodeBadData, func() { s.announces, s.status = false, http.StatusGone }},
	}
	for _, step := range steps {
		if step.do != nil {
			step.do()
		}
		if code, said := check(state, s.URL+"/r/a", step.key); code != step.code {
			t.Errorf("%s: exit code %d, want %d\n%s", step.what, code, step.code, said)
		}
	}
}

// TestVerbsCheckKeysOfSites checks that each verb that takes the URL of a torrent refuses it if the
// site signs with another key than before, that --verify-key off skips the check, and that
// verbs which only look at a torrent store no key.
func TestVerbsCheckKeysOfSites(t *testing.T) {
	t.Parallel()
	s, state := newSignedSite(t, newKey(t)), t.TempDir()
	if code, said := check(state, s.URL+"/r/a", ""); code != 0 {
		t.Fatalf("first use: exit code %d\n%s", code, said)
	}
	s.sign(newKey(t))
	for _, c := range []struct {
		args   []string
		stores bool // at the first use
	}{
		{[]string{"get"}, true}, {[]string{"verify"}, true}, {[]string{"seed"}, true}, {[]string{"edit", "-o", "o.torrent", "--comment", "x"}, true},
		{[]string{"show"}, false}, {[]string{"magnet"}, false},
		{[]string{"announce", "http://127.0.0.1:1/announce"}, false}, {[]string{"scrape", "http://127.0.0.1:1/announce"}, false},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			t.Parallel()
			dir, fresh := t.TempDir(), t.TempDir()
			run := func(state string, more ...string) (code int, stderr string) {
				args := slices.Concat(c.args, []string{s.URL + "/r/a", "--state", state, "--bind", "127.0.0.1"}, more)
				for i := range args {
					if args[i] == "o.torrent" {
						args[i] = filepath.Join(t.TempDir(), args[i])
					}
				}
				if c.args[0] == "get" {
					args = append(args, "-o", t.TempDir(), "--timeout", "1ms")
				}
				code, _, stderr = runIn(t, dir, "", "", args...)
				return code, stderr
			}
			if code, said := run(state); code != CodeBadData || !strings.Contains(said, "has changed") {
				t.Errorf("the other key: exit code %d\n%s", code, said)
			}
			if _, said := run(state, "--verify-key", "off"); strings.Contains(said, "key of") {
				t.Errorf("unchecked:\n%s", said)
			}
			if _, said := run(fresh); strings.Contains(said, "remembered as the key") != c.stores {
				t.Errorf("first use:\n%s", said)
			}
			if _, err := os.Stat(filepath.Join(fresh, source.KnownKeys)); (err == nil) != c.stores {
				t.Errorf("first use: the file of known keys: %v", err)
			}
		})
	}
}

// TestFirstUse checks that an invalid signature is an error at the first use too, and that a
// site without signatures needs none.
func TestFirstUse(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, c := range map[string]struct {
		change func(*signedSite)
		code   int
	}{
		"unsigned":   {func(s *signedSite) { s.announces = false }, 0},
		"does not":   {func(s *signedSite) { s.sig = key.Sign([]byte("other"), "x", time.Now()) }, CodeBadData},
		"no key":     {func(s *signedSite) { s.key = `"><script>` }, CodeBadData},
		"not there":  {func(s *signedSite) { s.status = http.StatusNotFound }, CodeBadData},
		"terminal":   {func(s *signedSite) { s.sig = []byte("untrusted comment: \x1b[31m\nx\ntrusted comment: \x1b[2J\nx\n") }, CodeBadData},
		"other host": {func(s *signedSite) { s.key = newKey(t).Public().String() }, CodeBadData},
	} {
		s, state := newSignedSite(t, key), t.TempDir()
		c.change(s)
		code, said := check(state, s.URL+"/r/a", "")
		if code != c.code || strings.Contains(said, "\x1b") {
			t.Errorf("%s: exit code %d, want %d\n%q", name, code, c.code, said)
		}
		if _, err := os.Stat(filepath.Join(state, source.KnownKeys)); err == nil {
			t.Errorf("%s: a key was stored", name)
		}
	}
}

// TestSignedFile checks that --verify-key verifies a .torrent file with the .minisig file
// beside it.
func TestSignedFile(t *testing.T) {
	t.Parallel()
	key, dir := newKey(t), t.TempDir()
	path := filepath.Join(dir, "a.torrent")
	os.WriteFile(path, []byte(someTorrent), 0o644)
	pub := key.Public().String()
	if code, said := check(dir, path, pub); code != CodeBadData {
		t.Errorf("without a signature: exit code %d\n%s", code, said)
	}
	os.WriteFile(path+".minisig", key.Sign([]byte(someTorrent), "a.torrent", time.Now()), 0o644)
	if code, said := check(dir, path, pub); code != 0 {
		t.Errorf("signed: exit code %d\n%s", code, said)
	}
	if code, said := check(dir, "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567", pub); code != CodeBadData {
		t.Errorf("a magnet link: exit code %d\n%s", code, said)
	}
	os.WriteFile(path, []byte(someTorrent+" "), 0o644)
	if code, said := check(dir, path, pub); code != CodeBadData {
		t.Errorf("changed: exit code %d\n%s", code, said)
	}
}
