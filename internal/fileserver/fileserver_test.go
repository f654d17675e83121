package fileserver

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// source is a list of torrents that run.
type source []*torrent.Torrent

func (s source) Torrents(context.Context) ([]Torrent, error) {
	var list []Torrent
	for _, t := range s {
		info := &t.MetaInfo().Info
		list = append(list, Torrent{ID: t.InfoHash().String(), Name: t.Name(), Single: info.Files[0].Path == nil, Size: info.Files[0].Length, Added: time.Unix(1e9, 0)})
	}
	return list, nil
}

func (s source) Torrent(ctx context.Context, id string) (Torrent, error) {
	list, _ := s.Torrents(ctx)
	for _, t := range list {
		if t.ID == id {
			return t, nil
		}
	}
	return Torrent{}, fs.ErrNotExist
}

func (s source) Files(_ context.Context, id string) (list []FileInfo, _ error) {
	for _, t := range s {
		if t.InfoHash().String() == id {
			for _, f := range t.MetaInfo().Info.Files {
				list = append(list, FileInfo{f.DisplayPath(), f.Length})
			}
		}
	}
	return list, nil
}

func (s source) Open(ctx context.Context, id, path string) (io.ReadSeekCloser, error) {
	for _, t := range s {
		if t.InfoHash().String() == id {
			return Open(ctx, t, path)
		}
	}
	return nil, fs.ErrNotExist
}

// swarm is a simulated network with sessions, for use in a bubble.
type swarm struct {
	t     *testing.T
	net   *simnet.Network
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	hosts byte
}

func newSwarm(t *testing.T) *swarm {
	w := &swarm{t: t, net: simnet.New(simnet.Options{Seed: 1})}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

func (w *swarm) end() {
	w.stop()
	w.wg.Wait()
}

// session runs a session on a host of its own, and returns the address of its peers.
func (w *swarm) session(link simnet.Link) (*torrent.Session, netip.AddrPort) {
	w.hosts++
	host := w.net.Host(netip.AddrFrom4([4]byte{10, 0, 0, w.hosts}), link)
	s, err := torrent.NewSession(torrent.Options{
		Network: host, Bind: host.Addr(), PeerPort: 6881, Seed: uint64(w.hosts), PeerID: spate.PeerID([]byte("-Sp0100-00000000000" + string('0'+w.hosts))),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.wg.Go(func() { s.Run(w.ctx) })
	return s, netip.AddrPortFrom(host.Addr(), 6881)
}

// seeded adds a complete torrent to a session.
func (w *swarm) seeded(s *torrent.Session, mi *metainfo.MetaInfo, dir string) *torrent.Torrent {
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir, Verified: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// files makes a torrent of files below a new directory, whose contents are their own names, or noise
// of a size.
func files(t *testing.T, name string, noise map[string]int, names ...string) (*metainfo.MetaInfo, string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range names {
		write(n, []byte(n))
	}
	for n, size := range noise {
		data := make([]byte, size)
		rng := rand.NewChaCha8([32]byte{1})
		rng.Read(data)
		write(n, data)
	}
	mi, err := maker.Make(t.Context(), filepath.Join(dir, name), maker.Options{PieceLength: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return mi, dir
}

// serve answers one request.
func serve(h http.HandlerFunc, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h(w, r)
	return w
}

// fileOf returns a handler that serves one file.
func fileOf(t *torrent.Torrent, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := File(w, r, source{t}, t.InfoHash().String(), name); err != nil {
			http.Error(w, err.Error(), Status(err))
		}
	}
}

// TestWhileDownloading checks that a range which a player asks for comes long before the rest of the
// file, and the end of a media file with its beginning.
func TestWhileDownloading(t *testing.T) {
	const size = 16 << 20
	mi, dir := files(t, "film.mkv", map[string]int{"film.mkv": size})
	data, err := os.ReadFile(filepath.Join(dir, "film.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t)
		defer w.end()
		seed, at := w.session(simnet.Link{Up: 1 << 20, Latency: 5 * time.Millisecond}) // 16 s for all of it
		w.seeded(seed, mi, dir)
		s, _ := w.session(simnet.Link{Latency: 5 * time.Millisecond})
		tor, err := s.Add(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{at}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		get := fileOf(tor, "film.mkv")
		got := serve(get, "GET", "/", "Range", "bytes=12000000-12099999")
		if got.Code != http.StatusPartialContent || !bytes.Equal(got.Body.Bytes(), data[12000000:12100000]) {
			t.Fatalf("%d, %d bytes", got.Code, got.Body.Len())
		}
		if d := time.Since(begin); d > 6*time.Second {
			t.Errorf("the middle came after %v", d)
		}
		got = serve(get, "GET", "/", "Range", "bytes=-1000")
		if !bytes.Equal(got.Body.Bytes(), data[size-1000:]) {
			t.Error("wrong end")
		}
		if d := time.Since(begin); d > 8*time.Second {
			t.Errorf("the end came after %v", d)
		}
		got = serve(get, "GET", "/")
		if got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), data) || got.Header().Get("Content-Type") != "video/x-matroska" {
			t.Errorf("%d, %d bytes, %v", got.Code, got.Body.Len(), got.Header())
		}
		again := serve(get, "GET", "/", "If-None-Match", got.Header().Get("ETag"))
		if again.Code != http.StatusNotModified {
			t.Errorf("status %d for a known validator", again.Code)
		}
	})
}

// TestStalledRead checks that a request whose data does not come ends.
func TestStalledRead(t *testing.T) {
	mi, _ := files(t, "a.bin", map[string]int{"a.bin": 1 << 20})
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t)
		defer w.end()
		s, _ := w.session(simnet.Link{})
		tor, err := s.Add(mi, torrent.AddOptions{Storage: storage.NewMemory(1 << 20)})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if got := serve(fileOf(tor, "a.bin"), "GET", "/"); got.Body.Len() != 0 {
			t.Errorf("%d bytes from nowhere", got.Body.Len())
		}
		if d := time.Since(begin); d != stalledRead {
			t.Errorf("ended after %v", d)
		}
		if got := serve(fileOf(tor, "b.bin"), "GET", "/"); got.Code != http.StatusNotFound {
			t.Errorf("status %d for a file that is not there", got.Code)
		}
		if err := tor.SetPriority(torrent.PrioritySkip, 0); err != nil {
			t.Fatal(err)
		}
		if got := serve(fileOf(tor, "a.bin"), "GET", "/"); got.Code != http.StatusConflict {
			t.Errorf("status %d for a file that is not wanted", got.Code)
		}
	})
}

// TestWebDAV checks the tree: names, equal names, properties, content, and that nothing can be
// changed.
func TestWebDAV(t *testing.T) {
	tree, treeDir := files(t, "album", nil, "album/1 intro.flac", "album/cover/front.jpg", "album/cover/back.jpg", "album/notes.html")
	one, oneDir := files(t, "same.txt", nil, "same.txt")
	two, twoDir := files(t, "same.txt", map[string]int{"same.txt": 100})
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t)
		defer w.end()
		s, _ := w.session(simnet.Link{})
		src := source{w.seeded(s, tree, treeDir), w.seeded(s, one, oneDir), w.seeded(s, two, twoDir)}
		dav := NewWebDAV(src, "/dav").ServeHTTP
		find := func(path, depth string) string {
			got := serve(dav, "PROPFIND", path, "Depth", depth)
			if got.Code != http.StatusMultiStatus {
				t.Errorf("PROPFIND %s: status %d", path, got.Code)
			}
			return got.Body.String()
		}
		second := one
		if h1, h2 := one.Hash(), two.Hash(); bytes.Compare(h1[:], h2[:]) < 0 {
			second = two
		}
		other := "same (" + second.Hash().String()[:8] + ").txt"
		for path, want := range map[string][]string{
			"/dav/":            {"/dav/album/</D:href>", "/dav/same.txt</D:href>", strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29").Replace(other) + "</D:href>", "<D:getcontenttype>text/plain"},
			"/dav/album":       {"/dav/album/1%20intro.flac<", "/dav/album/cover/<", "/dav/album/notes.html<", "<D:getcontentlength>18</D:getcontentlength>", "audio/flac"},
			"/dav/album/cover": {"/dav/album/cover/front.jpg<", "/dav/album/cover/back.jpg<"},
		} {
			got := find(path, "1")
			for _, part := range want {
				if !strings.Contains(got, part) {
					t.Errorf("PROPFIND %s lacks %s:\n%s", path, part, got)
				}
			}
		}
		if got := find("/dav/album/cover/front.jpg", "0"); strings.Count(got, "<D:response>") != 1 {
			t.Errorf("a file has other entries:\n%s", got)
		}
		for path, want := range map[string]string{
			"/dav/album/cover/front.jpg": "album/cover/front.jpg", "/dav/album/1%20intro.flac": "album/1 intro.flac", "/dav/album/x/../notes.html": "album/notes.html",
		} {
			if got := serve(dav, "GET", path); got.Code != http.StatusOK || got.Body.String() != want {
				t.Errorf("GET %s: %d %q", path, got.Code, got.Body)
			}
		}
		if csp := serve(dav, "GET", "/dav/album/notes.html").Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox; default-src 'none'") {
			t.Errorf("a page of a torrent has the policy %q", csp)
		}
		for _, c := range []struct {
			method, path string
			want         int
		}{
			{"GET", "/dav/none", http.StatusNotFound}, {"GET", "/dav/album/none", http.StatusNotFound}, {"GET", "/dav/same.txt/x", http.StatusNotFound},
			{"GET", "/dav/../../etc/passwd", http.StatusNotFound}, {"GET", "/dav/album", http.StatusMethodNotAllowed},
			{"PUT", "/dav/new", http.StatusMethodNotAllowed}, {"DELETE", "/dav/album", http.StatusMethodNotAllowed}, {"MKCOL", "/dav/new", http.StatusMethodNotAllowed},
			{"MOVE", "/dav/album", http.StatusMethodNotAllowed}, {"LOCK", "/dav/album", http.StatusMethodNotAllowed}, {"PROPPATCH", "/dav/album", http.StatusMethodNotAllowed},
			{"PROPFIND", "/dav/", http.StatusForbidden}, // without a depth
		} {
			if got := serve(dav, c.method, c.path); got.Code != c.want {
				t.Errorf("%s %s: status %d, want %d", c.method, c.path, got.Code, c.want)
			}
		}
		if got := serve(dav, "OPTIONS", "/dav/"); got.Code != http.StatusOK || got.Header().Get("DAV") != "1" {
			t.Errorf("OPTIONS: %d %v", got.Code, got.Header())
		}
	})
}

// TestPlaylist checks that a playlist has the media of a torrent, and that a name cannot add a line.
func TestPlaylist(t *testing.T) {
	mi, dir := files(t, "album", nil, "album/b #2.mp3", "album/a?.ogg", "album/cover.jpg", "album/x/c.mkv")
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t)
		defer w.end()
		s, _ := w.session(simnet.Link{})
		tor := w.seeded(s, mi, dir)
		got := serve(func(w http.ResponseWriter, r *http.Request) {
			if err := Playlist(w, r, source{tor}, tor.InfoHash().String(), "key=K"); err != nil {
				t.Error(err)
			}
		}, "GET", "/")
		want := "#EXTM3U\n#EXTINF:-1,a?\nfiles/a%3F.ogg?key=K\n#EXTINF:-1,b #2\nfiles/b%20%232.mp3?key=K\n#EXTINF:-1,c\nfiles/x/c.mkv?key=K\n"
		if got.Body.String() != want {
			t.Errorf("%s", got.Body)
		}
	})
	if got := title("x/a\n#EXTM3U\r.mp3"); strings.ContainsAny(got, "\r\n") {
		t.Errorf("%q", got)
	}
}
