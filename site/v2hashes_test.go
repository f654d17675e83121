package site

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/publish"
)

// v1 lists a v1 release with v2 hashes of a file with one byte.
func (f fixture) v1(t testing.TB, name string, torrents publish.Torrents, sig publish.Signatures) *publish.Release {
	t.Helper()
	path := sparse(t, 1, f.dir, name)
	r := *sample(t, publish.NewMemory(), path, nil)
	r.HashV2, r.Format, r.HasV2Hashes, r.Signatures = [32]byte{}, "v1", true, sig
	if err := f.catalog.Put(t.Context(), &r, torrents); err != nil {
		t.Fatal(err)
	}
	return &r
}

// TestV2Hashes checks which releases have v2 hashes at /t/REF.v2, signed or not, in the .torrent or
// not, and that the torrent and the page link to them.
func TestV2Hashes(t *testing.T) {
	t.Parallel()
	within := publish.Torrents{Main: []byte("d4:info5:first9:v2 hashes6:hashese")}
	apart := publish.Torrents{Main: []byte("d4:info5:firste"), V2Hashes: []byte("hashes")}
	for name, c := range map[string]struct {
		torrents publish.Torrents
		none     bool // the release has no v2 hashes
		sig      string
		want     string
	}{
		"in the torrent":         {torrents: within, want: "hashes"},
		"in the torrent, signed": {torrents: within, sig: "sig\n", want: "hashes"},
		"apart":                  {torrents: apart, want: "hashes"},
		"apart, signed":          {torrents: apart, sig: "sig\n", want: "hashes"},
		"a v1 torrent without":   {torrents: publish.Torrents{Main: []byte("d4:info5:firste")}, none: true},
		"ignored by the parser":  {torrents: within, none: true},
		"lost":                   {torrents: publish.Torrents{Main: []byte("de")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{})
			r := f.v1(t, "a.iso", c.torrents, publish.Signatures{PublicKey: "k", Torrent: c.sig, V2Hashes: c.sig})
			if c.none {
				f.catalog.Delete(t.Context(), r.Ref())
				r.HasV2Hashes = false
				if err := f.catalog.Put(t.Context(), r, c.torrents); err != nil {
					t.Fatal(err)
				}
			}
			expect := func(path, want string) {
				t.Helper()
				resp := f.get("GET", path)
				got, status := body(t, resp), http.StatusOK
				if want == "" {
					status = http.StatusNotFound
				}
				if resp.StatusCode != status || want != "" && got != want {
					t.Errorf("%s gave %s with %q, want %q", path, resp.Status, got, want)
				}
			}
			for _, ref := range []string{"a.iso", "a.iso~1"} {
				expect("/t/"+ref+".v2", c.want)
				expect("/t/"+ref+".v2.minisig", c.sig)
			}
			for _, path := range []string{"/t/a.iso.torrent", "/r/a.iso"} {
				resp := f.get("GET", path)
				link := `</t/a.iso~1.v2>; rel="describedby"; type="application/x-spate-v2-hashes"`
				if got := strings.Join(resp.Header.Values("Link"), ", "); strings.Contains(got, link) == c.none {
					t.Errorf("%s has the Link %s; want %s: %t", path, got, link, !c.none)
				}
				tag := `<link rel="describedby" type="application/x-spate-v2-hashes" href="/t/a.iso.v2">`
				if page := body(t, resp); path == "/r/a.iso" && strings.Contains(page, tag) == c.none {
					t.Errorf("the page contains %s: %t", tag, c.none)
				}
			}
			if err := f.catalog.Delete(t.Context(), r.Ref()); err != nil {
				t.Fatal(err)
			}
			expect("/t/a.iso.v2", "")
		})
	}
}

// TestExportedV2Hashes checks that an export contains the v2 hashes and their signature.
func TestExportedV2Hashes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.v1(t, "a.iso", publish.Torrents{Main: []byte("de"), V2Hashes: []byte("hashes")}, publish.Signatures{PublicKey: "k", Torrent: "x", V2Hashes: "sig"})
	out := filepath.Join(t.TempDir(), "out")
	base := &url.URL{Scheme: "http", Host: "h"}
	if _, err := Export(t.Context(), f.catalog, out, ExportOptions{Site: Options{BaseURL: base}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.iso.v2": "hashes", "a.iso~1.v2": "hashes", "a.iso.v2.minisig": "sig"} {
		if got, err := os.ReadFile(filepath.Join(out, "t", name)); string(got) != want {
			t.Errorf("t/%s contains %q (%v), want %q", name, got, err, want)
		}
	}
}
