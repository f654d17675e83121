package torrent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate/metainfo"
	"spate/storage"
)

// rangeURL returns the URL of the ranges of a torrent at a session.
func rangeURL(s *Session, mi *metainfo.MetaInfo) string {
	return fmt.Sprintf("http://%v%s%v", s.Addr(), RangePath, mi.Hash())
}

// httpFrom returns a client whose connections come from an address and end with the test.
func httpFrom(t *testing.T, from string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// askRange makes a request with the given headers, "Name: value".
func askRange(t *testing.T, c *http.Client, method, url string, headers ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Header.Set(name, value)
	}
	r, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return r
}

// TestPeerPortServesRanges checks that the port of the peers serves ranges of a torrent over HTTP to
// any page, counts them, and goes on serving peers.
func TestPeerPortServesRanges(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 6<<20+123, 256<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	url, c := rangeURL(s, mi), httpFrom(t, "127.0.0.1")
	const origin = "Origin: http://192.168.1.7:6969"
	want := int64(0)
	for _, r := range [][3]int{{0, 0, 1}, {0, 99, 100}, {100_000, 3_000_000, 2_900_001}, {1, len(data), maxRange}, {len(data) - 5, len(data) + 99, 5}} {
		resp := askRange(t, c, "GET", url, fmt.Sprintf("Range: bytes=%d-%d", r[0], r[1]), origin)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("range %v: %v, %v", r, resp.Status, err)
		}
		if len(body) != r[2] || !bytes.Equal(body, data[r[0]:r[0]+r[2]]) {
			t.Errorf("range %v: %d bytes, or wrong ones", r, len(body))
		}
		want += int64(len(body))
		at := fmt.Sprintf("bytes %d-%d/%d", r[0], r[0]+r[2]-1, len(data))
		if h := resp.Header; h.Get("Content-Range") != at || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Peer-Id") != fmt.Sprintf("%x", [20]byte(s.PeerID())) {
			t.Errorf("range %v: headers %v", r, h)
		}
	}
	until(t, "the bytes are counted", func() bool { return tor.Stats().Uploaded == want })
	peers := tor.PeerStats()
	if len(peers) != 1 || peers[0].Transport != HTTPRanges || peers[0].Uploaded != want || peers[0].Unchoked {
		t.Errorf("peers: %+v", peers)
	}
	if head := askRange(t, c, "HEAD", url, "Range: bytes=0-99", origin); head.StatusCode != http.StatusPartialContent || head.ContentLength != 100 {
		t.Errorf("HEAD: %v, %d bytes", head.Status, head.ContentLength)
	}
	if o := askRange(t, c, "OPTIONS", url, origin); o.StatusCode != http.StatusNoContent || o.Header.Get("Access-Control-Allow-Headers") != "Range" || o.Header.Get("Access-Control-Allow-Private-Network") != "" {
		t.Errorf("OPTIONS: %v, %v", o.Status, o.Header)
	}
	c.CloseIdleConnections()
	until(t, "the client is gone", func() bool { return len(tor.PeerStats()) == 0 })

	get := testSession(t, Options{Encryption: EncryptionPrefer})
	g, err := get.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.Wait(ctx); err != nil {
		t.Errorf("a peer does not get the torrent at the same port: %v", err)
	}
}

// TestPeerPortRefusesOtherRequests checks the answers to requests without an acceptable range.
func TestPeerPortRefusesOtherRequests(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 300_000, 1<<14)
	_, other := noiseTorrent(t, 300_001, 1<<14)
	closed := privateTorrent(t, mi)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	added(t, s, closed, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	url, at := rangeURL(s, mi), "http://"+s.Addr().String()
	const first = "Range: bytes=0-99"
	for name, c := range map[string]struct {
		method, url string
		headers     []string
		status      int
	}{
		"without a range":              {"GET", url, nil, 416},
		"two ranges":                   {"GET", url, []string{"Range: bytes=0-1,4-5"}, 416},
		"the last bytes":               {"GET", url, []string{"Range: bytes=-5"}, 416},
		"another unit":                 {"GET", url, []string{"Range: pieces=0-5"}, 416},
		"after the end":                {"GET", url, []string{"Range: bytes=300000-300001"}, 416},
		"too large a number":           {"GET", url, []string{"Range: bytes=99999999999999999999-"}, 416},
		"an end before the begin":      {"GET", url, []string{"Range: bytes=5-4"}, 416},
		"another torrent":              {"GET", rangeURL(s, other), []string{first}, 404},
		"a private torrent":            {"GET", rangeURL(s, closed), []string{first}, 404},
		"the root":                     {"GET", at + "/", []string{first}, 404},
		"no info-hash":                 {"GET", at + RangePath, []string{first}, 404},
		"more than an info-hash":       {"GET", url + "/x", []string{first}, 404},
		"a page on the internet":       {"GET", url, []string{first, "Origin: https://203.0.113.5"}, 404},
		"a page at a name":             {"GET", url, []string{first, "Origin: http://rebound.example"}, 404},
		"a page that hides its origin": {"GET", url, []string{first, "Origin: null"}, 404},
		"an image of a page":           {"GET", url, []string{first, "Sec-Fetch-Site: cross-site"}, 404},
		"a link of a page":             {"GET", url, []string{first, "Referer: https://a.example/"}, 404},
		"a header that is too long":    {"GET", url, []string{first, "X-Long: " + strings.Repeat("x", 20<<10)}, 431},
	} {
		t.Run(name, func(t *testing.T) {
			resp := askRange(t, httpFrom(t, "127.0.0.1"), c.method, c.url, c.headers...)
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != c.status || c.status != 431 && len(body) > 0 {
				t.Errorf("%v with %d bytes, want %d", resp.Status, len(body), c.status)
			}
			if !resp.Close {
				t.Error("the connection stays open")
			}
		})
	}
	for name, opt := range map[string]Options{"turned off": {NoRanges: true}, "encryption is required": {Encryption: EncryptionRequire}} {
		t.Run(name, func(t *testing.T) {
			s := testSession(t, opt)
			added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
			if resp, err := httpFrom(t, "127.0.0.1").Get(rangeURL(s, mi)); err == nil {
				resp.Body.Close()
				t.Errorf("an answer: %v", resp.Status)
			}
		})
	}
}

// TestOnlyVerifiedPiecesAreServed checks that an answer ends before a piece that is wrong, and that
// the piece itself is not served.
func TestOnlyVerifiedPiecesAreServed(t *testing.T) {
	t.Parallel()
	const length = 1 << 14
	data, mi := noiseTorrent(t, 10*length, length)
	damaged := bytes.Clone(data)
	damaged[5*length+7] ^= 1
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(damaged), PlainSeed: true})
	c := httpFrom(t, "127.0.0.1")
	resp := askRange(t, c, "GET", rangeURL(s, mi), "Range: bytes=100-")
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, data[100:5*length]) {
		t.Errorf("%v with %d bytes, want the pieces before the wrong one", resp.Status, len(body))
	}
	if resp := askRange(t, c, "GET", rangeURL(s, mi), fmt.Sprintf("Range: bytes=%d-", 5*length)); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the wrong piece: %v, want 404", resp.Status)
	}
}

// TestRangesUseUploadSlots checks that a range takes an upload slot, so that another client is told
// to ask again, and that the only seed serves no ranges at all.
func TestRangesUseUploadSlots(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 1<<14)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	url, all := rangeURL(s, mi), fmt.Sprintf("Range: bytes=0-%d", len(data)-1)
	if resp := askRange(t, httpFrom(t, "127.0.0.1"), "GET", url, all); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the only seed answers %v", resp.Status)
	}
	tor.mu.Lock()
	tor.super.OtherSeed(time.Now())
	tor.mu.Unlock()
	s.SetRates(1, 0) // answers do not end
	ask := func(i int) *http.Response {
		return askRange(t, httpFrom(t, fmt.Sprintf("127.0.0.%d", i+2)), "GET", url, all)
	}
	for i := range 4 { // the default of Options.UploadSlots
		if resp := ask(i); resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("client %d: %v", i, resp.Status)
		}
	}
	resp := ask(4)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || resp.Close {
		t.Errorf("a fifth client: %v, %v", resp.Status, resp.Header)
	}
	tor.mu.Lock()
	free := tor.freeSlotLocked(time.Now())
	tor.mu.Unlock()
	if free {
		t.Error("a peer would be unchoked although clients over HTTP use all slots")
	}
}

// TestSilentHTTPConnectionsAreBounded checks that connections that ask for nothing do not keep others
// out, and leave with the session.
func TestSilentHTTPConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 300_000, 1<<14)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	for range maxRangeConns + 20 {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, "GET /piece"); err != nil {
			t.Fatal(err)
		}
	}
	held := func() int {
		s.ranges.mu.Lock()
		defer s.ranges.mu.Unlock()
		return s.ranges.pool.Len()
	}
	until(t, "connections are handed over", func() bool { return held() > maxRangeConns/2 })
	if n := held(); n > maxRangeConns {
		t.Errorf("%d connections", n)
	}
	if resp := askRange(t, httpFrom(t, "127.9.0.1"), "GET", rangeURL(s, mi), "Range: bytes=0-99"); resp.StatusCode != http.StatusPartialContent {
		t.Errorf("a client of another network: %v", resp.Status)
	}
}

// FuzzRangeRequest checks that every accepted range lies in the data, and that a path names the
// info-hash that it contains.
func FuzzRangeRequest(f *testing.F) {
	f.Add("/piece-data/0123456789012345678901234567890123456789", "bytes=0-5", int64(100))
	f.Add("/piece-data/", "bytes=99-", int64(100))
	f.Add("/", "bytes=-1", int64(0))
	f.Fuzz(func(t *testing.T, path, header string, size int64) {
		if begin, end, ok := parseRange(header, size); ok && (begin < 0 || begin >= end || end > size || end-begin > maxRange) {
			t.Errorf("%q of %d: %d to %d", header, size, begin, end)
		}
		if ih, ok := parseRangePath(path); ok && !strings.EqualFold(path, RangePath+ih.String()) {
			t.Errorf("%q: %v", path, ih)
		}
		asks, more := asksHTTP([]byte(path))
		if asks && more || more && len(path) >= len("OPTIONS /") {
			t.Errorf("%q: %v, %v", path, asks, more)
		}
	})
}
