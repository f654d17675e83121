package publish

import (
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"spate/maker"
	"spate/metainfo"
	"spate/signature"
)

// TestRepoint checks that after a start with another base URL the torrents, twins, magnet
// links and web seeds have the new URLs and are signed again. No info-hash may change, no
// data may be hashed, and the URLs of other sites must stay.
func TestRepoint(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.spec.Format = metainfo.Hybrid // which has a twin
	foreign := [][]string{{"http://files.example:7000/announce"}, {"udp://other.example:1/announce"}}
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	at := func(base, udp string, key *signature.Key) Restored {
		t.Helper()
		h.start(1)
		u, _ := url.Parse(base)
		h.pub.opts.BaseURL, h.pub.opts.Key = u, key
		h.pub.opts.Trackers = append([][]string{{base + "/announce"}, {udp}}, foreign...)
		out, err := h.pub.Restore(t.Context())
		if err != nil || len(out.Problems) > 0 {
			t.Fatalf("Restore returned %+v, %v, want no problems", out, err)
		}
		return out
	}
	at("http://files.example:6969", "udp://files.example:6969/announce", key)
	h.folder.opt.Spec.WebSeeds = []string{SelfWebSeed}
	h.write("a.iso", "data")
	h.write("tree/x", "1")
	h.update()
	h.folder.opt.Spec.WebSeeds = nil
	h.write("plain", "without a web seed")
	h.update()
	h.write("../b.iso", "22")
	theirs := adopted(t, h)
	own, err := h.pub.Publish(t.Context(), filepath.Join(h.in, "..", "b.iso"), Spec{Slug: "own", Options: maker.Options{
		Format:   metainfo.Hybrid,
		Announce: [][]string{{"http://tracker.example/announce"}}, WebSeeds: []string{SelfWebSeed, "http://mirror.example/b.iso"}}})
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]*Release{}
	for _, ref := range []string{"a.iso", "tree", "plain"} {
		before[ref], _ = h.catalog.Get(t.Context(), ref)
	}
	hashed := h.hashed
	for i, c := range []struct {
		base, udp string
		key       *signature.Key
	}{
		{"https://new.example/files", "udp://new.example:7000/announce", key}, // everything
		{"https://new.example/files", "udp://new.example:7001/announce", key}, // only the UDP port
		{"http://files.example:6969", "udp://files.example:6969/announce", nil},
		{"http://[2001:db8::1]:80", "udp://[2001:db8::1]:80/announce", key},
	} {
		out := at(c.base, c.udp, c.key)
		if want := []string{"own~1", "plain~1", "tree~1", "a.iso~1"}; i != 1 && !slices.Equal(out.Repointed, want) {
			t.Errorf("%s: Restore changed the URLs of %q, want %q", c.base, out.Repointed, want)
		}
		if unsigned := len(out.Unsigned) > 0; unsigned != (c.key == nil) {
			t.Errorf("%s: the releases without signatures are %q, want some only without a key", c.base, out.Unsigned)
		}
		for ref, was := range before {
			r, err := h.catalog.Get(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if r.Hash() != was.Hash() || r.Twin.Hash != was.Twin.Hash || r.Published != was.Published {
				t.Errorf("%s has another info-hash or time of publication: %+v", ref, r)
			}
			base, _ := url.Parse(c.base)
			want := Links{Base: c.base, Announce: append([][]string{{c.base + "/announce"}, {c.udp}}, foreign...), WebSeeds: []string{WebSeedURL(base, r.Ref(), r.Single)}}
			if ref == "plain" {
				want.WebSeeds = r.WebSeeds
				if len(r.WebSeeds) > 0 {
					t.Errorf("%s: a release without web seeds has got %q", c.base, r.WebSeeds)
				}
			}
			if got := (Links{Base: r.Base, Announce: r.Announce, WebSeeds: r.WebSeeds}); !reflect.DeepEqual(got, want) {
				t.Errorf("%s has the URLs %+v, want %+v", ref, got, want)
			}
			torrents, _ := h.catalog.Torrents(t.Context(), ref)
			checkTorrent(t, r, torrents.Main, r.Magnet, r.TorrentSize, r.Signatures.Torrent, c.key)
			checkTorrent(t, r, torrents.Twin, r.Twin.Magnet, r.Twin.TorrentSize, r.Signatures.Twin, c.key)
		}
		r, _ := h.catalog.Get(t.Context(), "own")
		base, _ := url.Parse(c.base)
		if !reflect.DeepEqual(r.Announce, own.Announce) || !slices.Equal(r.WebSeeds, []string{WebSeedURL(base, "own~1", true), "http://mirror.example/b.iso"}) {
			t.Errorf("a release with another tracker has %q and %q", r.Announce, r.WebSeeds)
		}
		if r, _ := h.catalog.Get(t.Context(), "adopted.iso"); !reflect.DeepEqual(r.Announce, theirs.Announce) || !slices.Equal(r.WebSeeds, theirs.WebSeeds) {
			t.Errorf("a torrent of another site has %q and %q", r.Announce, r.WebSeeds)
		}
		if out := at(c.base, c.udp, c.key); len(out.Repointed) > 0 {
			t.Errorf("%s: the second Restore changed the URLs of %q, want none", c.base, out.Repointed)
		}
	}
	if h.hashed != hashed {
		t.Errorf("%d releases were hashed again, want none", h.hashed-hashed)
	}
}

// TestMoveChangesURLsWhileRunning checks that Move changes the URLs of releases that are there and
// of later ones, without hashing data again.
func TestMoveChangesURLsWhileRunning(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.start(1)
	move := func(base string) Restored {
		t.Helper()
		u, _ := url.Parse(base)
		out, err := h.pub.Move(t.Context(), u, [][]string{{base + "/announce"}})
		if err != nil || len(out.Problems) > 0 {
			t.Fatalf("Move returned %+v, %v", out, err)
		}
		return out
	}
	announced := func(ref, base string) {
		t.Helper()
		r, err := h.catalog.Get(t.Context(), ref)
		if err != nil || r.Base != base || !reflect.DeepEqual(r.Announce, [][]string{{base + "/announce"}}) {
			t.Fatalf("%s: %+v, %v", ref, r, err)
		}
		torrents, _ := h.catalog.Torrents(t.Context(), ref)
		checkTorrent(t, r, torrents.Main, r.Magnet, r.TorrentSize, "", nil)
	}
	move("http://203.0.113.7:6969")
	h.write("a.iso", "data")
	h.update()
	announced("a.iso", "http://203.0.113.7:6969")
	hashed := h.hashed
	if out := move("http://203.0.113.99:7000"); !slices.Equal(out.Repointed, []string{"a.iso~1"}) {
		t.Errorf("repointed %q", out.Repointed)
	}
	announced("a.iso", "http://203.0.113.99:7000")
	if h.hashed != hashed {
		t.Error("the data was hashed again")
	}
	h.write("b.iso", "more")
	h.update()
	announced("b.iso", "http://203.0.113.99:7000")
}

// checkTorrent checks that a torrent has the URLs of its release. If there is a key, it
// also checks the signature.
func checkTorrent(t *testing.T, r *Release, torrent []byte, magnet string, size int, sig string, key *signature.Key) {
	t.Helper()
	m, err := metainfo.Parse(torrent)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.AnnounceList, r.Announce) || !slices.Equal(m.WebSeeds, r.WebSeeds) || m.Magnet().String() != magnet || len(torrent) != size {
		t.Errorf("%s: the torrent of %d bytes with the trackers %q and web seeds %q does not match its release or the magnet link %s", r.Ref(), size, m.AnnounceList, m.WebSeeds, magnet)
	}
	if key == nil {
		if sig != "" {
			t.Errorf("%s has a signature although there is no key", r.Ref())
		}
		return
	}
	if _, err := signature.Verify(key.Public(), torrent, []byte(sig)); err != nil {
		t.Errorf("the signature of %s: %v", r.Ref(), err)
	}
}

// adopted publishes a torrent of another site, whose reference there is the same as here.
func adopted(t *testing.T, h *folderFixture) *Release {
	t.Helper()
	path := filepath.Join(filepath.Dir(h.in), "adopted.iso")
	h.write("../adopted.iso", "333")
	m, err := maker.Make(t.Context(), path, maker.Options{Announce: [][]string{{"http://files.example:6969/announce"}}, WebSeeds: []string{"http://files.example:6969/d/adopted.iso~1"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.pub.Adopt(t.Context(), m, path, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTorrentsNameDHTNode checks that torrents and twins name the DHT node of the seeder, that
// private torrents do not, and that the node follows a move of the site without another info-hash.
func TestTorrentsNameDHTNode(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.start(1)
	var node string
	h.pub.opts.Node = func() string { return node }
	move := func(host, port string) {
		t.Helper()
		u := &url.URL{Scheme: "http", Host: host}
		node = ""
		if port != "" {
			node = host + ":" + port
		}
		if out, err := h.pub.Move(t.Context(), u, [][]string{{u.String() + "/announce"}}); err != nil || len(out.Problems) > 0 {
			t.Fatalf("Move returned %+v, %v", out, err)
		}
	}
	move("203.0.113.7", "6881")
	h.write("../data", "data")
	hashes := map[string]string{}
	check := func(want map[string][]string) {
		t.Helper()
		for ref, nodes := range want {
			torrents, err := h.catalog.Torrents(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range [][]byte{torrents.Main, torrents.Twin} {
				m, err := metainfo.Parse(b)
				if err != nil {
					t.Fatal(err)
				}
				key := ref + string(rune('0'+i))
				if hashes[key] == "" {
					hashes[key] = m.Hash().String()
				}
				if !slices.Equal(m.Nodes, nodes) || hashes[key] != m.Hash().String() {
					t.Errorf("torrent %d of %s names the nodes %q, want %q, with the info-hash %v, was %s", i, ref, m.Nodes, nodes, m.Hash(), hashes[key])
				}
			}
		}
	}
	for slug, o := range map[string]maker.Options{"plain": {}, "named": {Nodes: []string{"dht.example:1"}}, "private": {Private: true}} {
		o.Format = metainfo.Hybrid
		o.Source = slug // so that the info-hashes differ
		if _, err := h.pub.Publish(t.Context(), filepath.Join(h.in, "..", "data"), Spec{Slug: slug, Options: o}); err != nil {
			t.Fatal(err)
		}
	}
	check(map[string][]string{"plain": {"203.0.113.7:6881"}, "named": {"203.0.113.7:6881", "dht.example:1"}, "private": nil})
	move("203.0.113.99", "7000")
	check(map[string][]string{"plain": {"203.0.113.99:7000"}, "named": {"203.0.113.99:7000", "dht.example:1"}, "private": nil})
	move("203.0.113.99", "") // the DHT is disabled; the URLs stay
	check(map[string][]string{"plain": {"203.0.113.99:7000"}})
	move("203.0.113.100", "")
	check(map[string][]string{"plain": nil, "named": {"dht.example:1"}})
}
