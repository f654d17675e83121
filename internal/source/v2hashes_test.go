package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/internal/netguard"
	"spate/metainfo"
	"spate/signature"
)

// someV2Hashes are v2 hashes that someTorrent can have.
var someV2Hashes = bytes.Repeat([]byte{7}, 64)

// hashesSite is a site with someTorrent, whose v2 hashes are at /t/a.v2.
type hashesSite struct {
	hashes, sig []byte
	status      int    // of the v2 hashes; 0: 200
	named       string // the URL that the site names; "": /t/a.v2
	unnamed     bool   // the site does not name the hashes
	key         *signature.Key
	asked       int // number of requests for the hashes
}

func (s *hashesSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	named := s.named
	if named == "" {
		named = "/t/a.v2"
	}
	link := func(pattern string) {
		if !s.unnamed {
			w.Header().Add("Link", fmt.Sprintf(pattern, named, metainfo.V2HashesType))
		}
	}
	switch r.URL.Path {
	case "/t/a.torrent", "/t/bare.torrent":
		if r.URL.Path == "/t/a.torrent" {
			link(`<%s>; rel="describedby"; type="%s"`)
		}
		if s.key != nil {
			w.Header().Add("Link", fmt.Sprintf(`<a.torrent.minisig>; rel="describedby"; type="%s"; key="%s"`, signatureType, s.key.Public()))
		}
		w.Header().Set("Content-Type", torrentType)
		fmt.Fprint(w, someTorrent)
	case "/t/a.torrent.minisig":
		w.Write(s.key.SignRelease([]byte(someTorrent), "a.torrent", time.Now(), signature.Release{Ref: "a~1", Published: time.Unix(1000, 0)}))
	case "/r/header":
		w.Header().Add("Link", `</t/bare.torrent>; rel="alternate"; type="application/x-bittorrent"`)
		link(`<%s>; rel="describedby"; type="%s"`)
	case "/r/page":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<link rel="alternate" type="%s" href="/t/bare.torrent"><link rel="describedby" type="%s" href="%s">`, torrentType, metainfo.V2HashesType, named)
	case "/t/moved.v2":
		http.Redirect(w, r, "/t/a.v2", http.StatusFound)
	case "/t/a.v2":
		s.asked++
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
		w.Write(s.hashes)
	case "/t/a.v2.minisig":
		if s.sig == nil {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write(s.sig)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestAddV2Hashes checks which v2 hashes of a site are used. All others cost only a note.
func TestAddV2Hashes(t *testing.T) {
	t.Parallel()
	good, evil := newKey(t), newKey(t)
	sign := func(key *signature.Key, hashes []byte, ref string) []byte {
		return key.SignRelease(hashes, "a.v2", time.Now(), signature.Release{Ref: ref, Published: time.Unix(1000, 0)})
	}
	zero := bytes.Clone(someV2Hashes)
	clear(zero[32:])
	for name, c := range map[string]struct {
		site hashesSite
		path string // "": /t/a.torrent
		ok   bool
		note string
	}{
		"the torrent names them":         {ok: true},
		"a header of the page":           {path: "/r/header", ok: true},
		"a link in the page":             {path: "/r/page", ok: true},
		"nothing names them":             {site: hashesSite{unnamed: true}},
		"by a redirect":                  {site: hashesSite{named: "moved.v2"}, ok: true},
		"at another origin":              {site: hashesSite{named: "http://127.0.0.1:1/t/a.v2"}},
		"at another scheme":              {site: hashesSite{named: "ftp:///t/a.v2"}},
		"gone":                           {site: hashesSite{status: 404}, note: "404"},
		"an error":                       {site: hashesSite{status: 500}, note: "500"},
		"empty":                          {site: hashesSite{hashes: []byte{}}, note: "the length is 0 instead of 64"},
		"a byte less":                    {site: hashesSite{hashes: someV2Hashes[1:]}, note: "the length is 63 instead of 64"},
		"a byte more":                    {site: hashesSite{hashes: append(someV2Hashes[:64:64], 1)}, note: "too large"},
		"contradicting the torrent":      {site: hashesSite{hashes: zero}, note: "root of file 0"},
		"signed":                         {site: hashesSite{key: good, sig: sign(good, someV2Hashes, "a~1")}, ok: true},
		"only the torrent signed":        {site: hashesSite{key: good}, note: "404"},
		"signed by another key":          {site: hashesSite{key: good, sig: sign(evil, someV2Hashes, "a~1")}, note: "key"},
		"the signature of others":        {site: hashesSite{key: good, sig: sign(good, zero, "a~1")}, note: "signature"},
		"signed for another release":     {site: hashesSite{key: good, sig: sign(good, someV2Hashes, "a~2")}, note: "another release"},
		"a signature that nobody checks": {site: hashesSite{sig: []byte("x")}, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := &c.site
			if site.hashes == nil {
				site.hashes = someV2Hashes
			}
			srv := httptest.NewServer(site)
			defer srv.Close()
			var notes []string
			r := &Resolver{retry: netguard.Backoff{First: time.Millisecond, Last: time.Millisecond}}
			r.Notef = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
			path := c.path
			if path == "" {
				path = "/t/a.torrent"
			}
			src, err := r.Resolve(t.Context(), srv.URL+path)
			if err == nil {
				err = r.CheckSignature(t.Context(), src, Trust{State: t.TempDir()})
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := src.Parse()
			if err != nil {
				t.Fatal(err)
			}
			notes = nil
			r.AddV2Hashes(t.Context(), src, m)
			if (m.V2Hashes != nil) != c.ok || c.ok && !bytes.Equal(m.V2Hashes.Append(nil), someV2Hashes) {
				t.Errorf("v2 hashes %v, want them: %t", m.V2Hashes, c.ok)
			}
			if said := strings.Join(notes, "\n"); !strings.Contains(said, c.note) || (said == "") != (c.note == "") {
				t.Errorf("the notes are %q, want %q", said, c.note)
			}
			asked := site.asked
			r.AddV2Hashes(t.Context(), src, m)
			if c.ok && site.asked != asked {
				t.Error("the hashes were fetched for a torrent that has them")
			}
		})
	}
}

// TestV2HashesBeside checks the v2 hashes in the file beside a .torrent, and that they need a
// signature if that of the .torrent was checked.
func TestV2HashesBeside(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, c := range map[string]struct {
		hashes      []byte
		check, sign bool
		ok, noted   bool
	}{
		"none":             {},
		"beside":           {hashes: someV2Hashes, ok: true},
		"too long":         {hashes: append(someV2Hashes[:64:64], 1), noted: true},
		"unsigned":         {hashes: someV2Hashes, check: true, noted: true},
		"signed":           {hashes: someV2Hashes, check: true, sign: true, ok: true},
		"none, but signed": {check: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.torrent")
			write := func(ext string, b []byte) {
				if err := os.WriteFile(path+ext, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("", []byte(someTorrent))
			write(".minisig", key.Sign([]byte(someTorrent), "a.torrent", time.Now()))
			if c.hashes != nil {
				write(".v2", c.hashes)
			}
			if c.sign {
				write(".v2.minisig", key.Sign(c.hashes, "a.torrent.v2", time.Now()))
			}
			noted := false
			r := &Resolver{Notef: func(string, ...any) { noted = true }}
			src, err := r.Resolve(t.Context(), path)
			if err == nil && c.check {
				public := key.Public()
				err = r.CheckSignature(t.Context(), src, Trust{State: t.TempDir(), Key: &public})
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := src.Parse()
			if err != nil {
				t.Fatal(err)
			}
			noted = false
			r.AddV2Hashes(t.Context(), src, m)
			if (m.V2Hashes != nil) != c.ok || noted != c.noted {
				t.Errorf("v2 hashes: %t, a note: %t; want %t, %t", m.V2Hashes != nil, noted, c.ok, c.noted)
			}
		})
	}
}

// TestV2HashesEndWithTheirContext checks that a user who interrupts the fetch reads no note.
func TestV2HashesEndWithTheirContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a.torrent" {
			w.Header().Set("Link", fmt.Sprintf(`<a.v2>; type="%s"`, metainfo.V2HashesType))
			w.Header().Set("Content-Type", torrentType)
			fmt.Fprint(w, someTorrent)
			return
		}
		cancel(errors.New("interrupted"))
		<-r.Context().Done()
	}))
	defer srv.Close()
	r := &Resolver{Notef: func(format string, args ...any) { t.Errorf(format, args...) }}
	src, err := r.Resolve(ctx, srv.URL+"/a.torrent")
	if err != nil {
		t.Fatal(err)
	}
	m, err := src.Parse()
	if err != nil {
		t.Fatal(err)
	}
	r.AddV2Hashes(ctx, src, m)
	if m.V2Hashes != nil {
		t.Error("v2 hashes from an interrupted fetch")
	}
}

func newKey(t *testing.T) *signature.Key {
	t.Helper()
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
