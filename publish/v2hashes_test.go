package publish

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"

	"spate/maker"
	"spate/metainfo"
	"spate/signature"
)

// manyCollections make a torrent larger than other programs accept.
var manyCollections = func() (list []string) {
	for range 1300 {
		list = append(list, strings.Repeat("c", 8000))
	}
	return list
}()

// seeded records the last torrent that a publisher seeds.
type seeded struct {
	*fixture
	last *metainfo.MetaInfo
}

func (s *seeded) Seed(ctx context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	s.last = m
	return s.fixture.Seed(ctx, m, path, verified)
}

// TestV2HashesOfReleases checks where the v2 hashes of a release are, that they are signed and
// seeded, and that a restart with other URLs keeps all that.
func TestV2HashesOfReleases(t *testing.T) {
	t.Parallel()
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opts        maker.Options
		none, apart bool
	}{
		"in the torrent": {},
		"apart":          {opts: maker.Options{Collections: manyCollections}, apart: true},
		"v1 without":     {opts: maker.Options{Format: metainfo.V1}, none: true},
		"hybrid":         {opts: maker.Options{Format: metainfo.Hybrid}, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &seeded{fixture: newFixture(t)}
			p := w.publisher()
			p.maker, p.seeder, p.opts.Key = MakerFunc(maker.Make), w, key
			published, err := p.Publish(t.Context(), w.write("a.iso", strings.Repeat("data", 300_000)), Spec{Options: c.opts, NoTwin: true})
			if err != nil {
				t.Fatal(err)
			}
			check := func(when string) {
				t.Helper()
				r, _ := w.Get(t.Context(), "a.iso")
				tor, err := w.Torrents(t.Context(), "a.iso")
				if err != nil {
					t.Fatal(err)
				}
				hashes := tor.AllV2Hashes()
				if r.HasV2Hashes == c.none || (hashes == nil) != c.none || (tor.V2Hashes != nil) != c.apart {
					t.Errorf("%s: the release has v2 hashes: %t, %d bytes, %d of them apart", when, r.HasV2Hashes, len(hashes), len(tor.V2Hashes))
				}
				if (w.last.V2Hashes == nil) != c.none || r.Hash() != published.Hash() {
					t.Errorf("%s: %s is seeded with the v2 hashes %v", when, r.Hash(), w.last.V2Hashes != nil)
				}
				if c.none {
					if r.Signatures.V2Hashes != "" || r.Info(&url.URL{Scheme: "http", Host: "h"}, true, Counts{}).V2HashesURL != "" {
						t.Errorf("%s: the signature of no v2 hashes is %q", when, r.Signatures.V2Hashes)
					}
					return
				}
				st, err := signature.Verify(key.Public(), hashes, []byte(r.Signatures.V2Hashes))
				if err != nil || st.File != "a.iso.v2" || st.Release.Ref != r.Ref() || !st.Release.Published.Equal(r.Published) {
					t.Errorf("%s: the signature of the v2 hashes says %+v, %v", when, st, err)
				}
				if i := r.Info(&url.URL{Scheme: "http", Host: "h"}, true, Counts{}); i.V2HashesURL != "http://h/t/a.iso~1.v2" || i.V2HashesSignatureURL != "http://h/t/a.iso~1.v2.minisig" {
					t.Errorf("%s: the URLs are %q and %q", when, i.V2HashesURL, i.V2HashesSignatureURL)
				}
			}
			check("published")
			p.opts.BaseURL = &url.URL{Scheme: "http", Host: "other.example"}
			if out, err := p.Restore(t.Context()); err != nil || len(out.Problems) > 0 || len(out.Repointed) != 1 {
				t.Fatalf("Restore returned %+v, %v", out, err)
			}
			check("restored")
			unsigned := published.Signatures // as an older version signed
			unsigned.V2Hashes = ""
			if err := w.Update(t.Context(), "a.iso~1", Change{Signatures: &unsigned}); err != nil {
				t.Fatal(err)
			}
			if err := p.signAgain(t.Context(), "a.iso~1"); err != nil {
				t.Fatal(err)
			}
			check("signed again")
		})
	}
}

// TestDamagedV2HashesAreIgnored checks that a release is seeded without v2 hashes that its catalog
// has damaged.
func TestDamagedV2HashesAreIgnored(t *testing.T) {
	t.Parallel()
	w := &seeded{fixture: newFixture(t)}
	p := w.publisher()
	p.maker, p.seeder = MakerFunc(maker.Make), w
	r, err := p.Publish(t.Context(), w.write("a.iso", "data"), Spec{Options: maker.Options{Collections: manyCollections}})
	if err != nil {
		t.Fatal(err)
	}
	tor, _ := w.Torrents(t.Context(), r.Ref())
	tor.V2Hashes = bytes.Clone(tor.V2Hashes[1:])
	err = w.Update(t.Context(), r.Ref(), Change{Links: &Links{Base: r.Base, Announce: r.Announce, WebSeeds: r.WebSeeds, Magnet: r.Magnet, Torrents: tor}})
	if err != nil {
		t.Fatal(err)
	}
	w.last = nil
	if out, err := p.Restore(t.Context()); err != nil || len(out.Problems) > 0 || w.last == nil || w.last.V2Hashes != nil {
		t.Errorf("Restore returned %+v, %v, and seeds %v", out, err, w.last != nil)
	}
}
