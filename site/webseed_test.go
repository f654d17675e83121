package site

import (
	"bytes"
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
)

// noSeeder is a seeder that does nothing.
type noSeeder struct{}

func (noSeeder) Seed(context.Context, *metainfo.MetaInfo, string, bool) error { return nil }
func (noSeeder) Unseed(context.Context, spate.InfoHash) error                 { return nil }

// TestWebSeed downloads releases with aria2c by the .torrent, the Metalink and the URL of
// the data. The site is the only source of the data.
func TestWebSeed(t *testing.T) {
	aria2c, err := exec.LookPath("aria2c")
	if err != nil {
		t.Skip("aria2c is not installed")
	}
	dir := t.TempDir()
	ts := httptest.NewUnstartedServer(nil)
	base, _ := url.Parse("http://" + ts.Listener.Addr().String())
	p, err := publish.New(publish.MakerFunc(maker.Make), noSeeder{}, publish.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(p.Catalog(), Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	ts.Config.Handler = s
	ts.Start()
	t.Cleanup(ts.Close)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)

	want := map[string][]byte{}
	for name, n := range map[string]int{"a file, and more.iso": 3<<20 + 5, "tree/one": 100, "tree/sub dir/two#2.bin": 1<<20 + 1, "tree/sub dir/empty": 0} {
		_, want[name] = random(t, n, dir, filepath.FromSlash(name))
	}
	for _, name := range []string{"a file, and more.iso", "tree"} {
		rel, err := p.Publish(ctx, filepath.Join(dir, name), publish.Spec{Options: maker.Options{Format: metainfo.Hybrid, WebSeeds: []string{publish.SelfWebSeed}}})
		if err != nil {
			t.Fatal(err)
		}
		links := []string{publish.TorrentPath(name), publish.MetalinkPath(name)}
		if rel.Single {
			links = append(links, publish.DownloadPath(name))
		}
		for _, link := range links {
			t.Run(link, func(t *testing.T) {
				t.Parallel()
				out := t.TempDir()
				cmd := exec.CommandContext(ctx, aria2c, "--no-conf", "--dir="+out, "--seed-time=0", "--enable-dht=false", "--enable-dht6=false",
					"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--interface=127.0.0.1", "--listen-port=20000-60000",
					"--check-certificate=false", "--max-tries=2", "--file-allocation=none", "--bt-stop-timeout=20", base.String()+link)
				if log, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("aria2c failed: %v\n%s", err, log)
				}
				for file, data := range want {
					if file != name && filepath.Dir(file) != name && filepath.Dir(filepath.Dir(file)) != name {
						continue
					}
					got, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(file)))
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("the downloaded file %s has %d bytes, want the same %d bytes: %v", file, len(got), len(data), err)
					}
				}
			})
		}
	}
}
