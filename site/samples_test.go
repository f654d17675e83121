package site

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/publish"
	"spate/signature"
)

// sampleTime is the time of publication of the samples.
var sampleTime = time.Date(2026, time.November, 4, 14, 3, 0, 0, time.UTC)

// sample adds the file or the tree at path to a catalog as a publisher would. The torrent
// of the release is not a real one.
func sample(t testing.TB, c publish.Catalog, path string, change func(*publish.Release)) *publish.Release {
	t.Helper()
	name := filepath.Base(path)
	r := &publish.Release{
		Name: name, HashV1: sha1.Sum([]byte(name)), HashV2: sha256.Sum256([]byte(name)), Format: "hybrid",
		Published: sampleTime, PieceLength: 1 << 20, Path: path,
		Announce: [][]string{{"http://127.0.0.1:6969/announce"}, {"udp://127.0.0.1:6969/announce"}},
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	r.Single = !info.IsDir()
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := publish.File{Length: info.Size(), ModTime: info.ModTime()}
		if !r.Single {
			rel, _ := filepath.Rel(path, p)
			f.Path = filepath.ToSlash(rel)
		}
		r.Files = append(r.Files, f)
		r.Size += f.Length
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.NumFiles = len(r.Files)
	r.Pieces = int((r.Size + r.PieceLength - 1) / r.PieceLength)
	r.WebSeeds = []string{publish.WebSeedURL(&url.URL{Scheme: "http", Host: "127.0.0.1:6969"}, name, r.Single)}
	r.Magnet = "magnet:?xt=urn:btih:" + r.HashV1.String() + "&xt=urn:btmh:1220" + r.HashV2.String() + "&dn=" + url.QueryEscape(name) +
		"&tr=" + url.QueryEscape(r.Announce[0][0]) + "&ws=" + url.QueryEscape(r.WebSeeds[0])
	if change != nil {
		change(r)
	}
	r = r.Filled(publish.Torrents{})
	if err := c.Put(context.Background(), r, publish.Torrents{Main: []byte("d4:info" + name + "e")}); err != nil {
		t.Fatal(err)
	}
	return r
}

// sparse creates a sparse file of n bytes and returns its path.
func sparse(t testing.TB, n int64, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	return path
}

const sampleNotes = `## What is new

- Boots from **USB sticks** as well as from CDs
- PostgreSQL 8.0.3, pgAdmin III and *phpPgAdmin*; see the [handbook](https://www.postgresql.org/docs/)
- The home directory is kept on a partition labelled ` + "`pgdata`" + `

Write it to a stick with

    dd if=pg_live.1.3.3-SRA.iso of=/dev/sdX bs=4M

| machine | tested |
| --- | --- |
| ThinkPad T42 | yes |
| anything with 256 MB | should do |
`

// TestPreview serves sample releases on the address in SPATE_PREVIEW until it is
// interrupted, so that a developer can look at the pages.
func TestPreview(t *testing.T) {
	addr := os.Getenv("SPATE_PREVIEW")
	if addr == "" {
		t.Skip("SPATE_PREVIEW is not set to an address to serve samples on")
	}
	dir, c := t.TempDir(), publish.NewMemory()
	at := func(days int) func(*publish.Release) {
		return func(r *publish.Release) { r.Published = sampleTime.AddDate(0, 0, -days) }
	}
	sample(t, c, sparse(t, 380_395_520, dir, "pg_live.1.3.3-SRA.iso"), func(r *publish.Release) {
		r.Comment, r.Group, r.Version = "PostgreSQL live CD, boots on any PC", "Live systems", "1.3.3"
		r.Twin = publish.Twin{Hash: spate.InfoHash{7}, Magnet: "magnet:?xt=urn:btih:0700000000000000000000000000000000000000"}
		r.Notes, r.FirstCopy, r.Summed = sampleNotes, 252*time.Second, true
		key, _ := signature.NewKey()
		r.Signatures = publish.Signatures{PublicKey: key.Public().String(), Torrent: "t", Sums: "s"}
		for d := range 30 {
			n := int64(40*d) - int64(d*d) + int64(r.HashV1[d%20])
			c.Count(t.Context(), r.Hash(), time.Now().AddDate(0, 0, d-29), publish.Counts{Completed: n, Direct: n / 9, SeedBytes: r.Size * int64(1+d%4) / 3})
		}
	})
	for v := 1; v <= 4; v++ {
		sample(t, c, filepath.Join(dir, "pg_live.1.3.3-SRA.iso"), func(r *publish.Release) {
			r.Version, r.Published, r.Group = fmt.Sprint("1.2.", v), sampleTime.AddDate(0, -8+v, 0), "Live systems"
			r.HashV1, r.HashV2 = spate.InfoHash{byte(v)}, spate.InfoHashV2{byte(v)}
		})
	}
	for i := range 120 {
		sparse(t, int64(i)*317_233, dir, "debian-13-netboot", "images", fmt.Sprintf("part-%03d", i), "linux")
	}
	sparse(t, 1234, dir, "debian-13-netboot", "SHA256SUMS")
	for i, arch := range []string{"amd64", "arm64", "riscv64"} {
		sample(t, c, filepath.Join(dir, "debian-13-netboot"), func(r *publish.Release) {
			at(1)(r)
			r.Version, r.Variant, r.Group, r.Summed = "13.2", arch, "Installers", true
			r.HashV1, r.HashV2 = sha1.Sum([]byte{byte(i)}), sha256.Sum256([]byte{byte(i)})
		})
	}
	for i, v := range []string{"linux-amd64", "linux-arm64", "windows-amd64", "macos-universal", "source"} {
		sample(t, c, sparse(t, int64(39_000_000+i*1_234_567), dir, "editor-2.1-"+v+".zip"), func(r *publish.Release) {
			at(2)(r)
			r.Slug, r.Version, r.Variant, r.Comment = "Editor", "2.1", v, "A text editor"
		})
	}
	sample(t, c, sparse(t, 29_000_000_000, dir, "open-llm-13b-q4.gguf"), at(4))
	sample(t, c, sparse(t, 1_700_000, dir, "Земля и воля — архив.tar.zst"), at(9))
	sample(t, c, sparse(t, 7_340_032, dir, "<script>alert(1)<⁄script>&\u202egnp.exe"), at(30))
	sample(t, c, sparse(t, 512, dir, string(slices.Repeat([]byte("very-long-name-"), 17)[:250])), at(40))
	swarm := func(ih spate.InfoHash) (Swarm, bool) {
		return Swarm{int(ih[0]) % 90, int(ih[1]), int(ih[2]) * 7}, ih[3]%5 != 0
	}
	origin := func(ih spate.InfoHash) (Sent, bool) { return Sent{int64(ih[4]) << 23, float64(ih[5]) * 1e5}, true }
	s, err := New(c, Options{Swarm: swarm, Origin: origin, StatsPath: "/stats"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	srv := &http.Server{Addr: addr, Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	t.Logf("serving http://%s/", addr)
	srv.ListenAndServe()
}
