package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/tracker"
	"spate/tracker/wire"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// serve starts a web server on loopback.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func newWeb(t *testing.T) *Web {
	w := NewWeb(loopback, nil, time.Now, nil)
	t.Cleanup(w.Close)
	return w
}

// torrentOf returns a torrent of one file with the data.
func torrentOf(t *testing.T, data []byte, format metainfo.Format) *metainfo.MetaInfo {
	t.Helper()
	m, err := maker.MakeReader(t.Context(), bytes.NewReader(data), int64(len(data)), maker.Options{Name: "a.bin", Format: format, PieceLength: 16384})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWebSeed checks the findings about good and bad servers.
func TestWebSeed(t *testing.T) {
	t.Parallel()
	data := make([]byte, 100_000)
	rand.Read(data)
	wrong := bytes.Repeat([]byte("x"), len(data))
	good := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeContent(w, r, "a.bin", time.Time{}, bytes.NewReader(data))
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		check string
		level Level
		text  string
	}{
		"good": {good, "web-seed-data", OK, "3 pieces chosen at random have the right bytes"},
		"cors": {good, "web-seed-cors", OK, "CORS"},
		"no cors": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}, "web-seed-cors", Note, "may not read"},
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }, "web-seed", Fail, "ignores Range"},
		"no head": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				http.Error(w, "", http.StatusMethodNotAllowed)
				return
			}
			good(w, r)
		}, "web-seed-head", Warn, "405 Method Not Allowed"},
		"wrong bytes": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(wrong))
		}, "web-seed-data", Fail, "other bytes"},
		"wrong size": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data[1:]))
		}, "web-seed", Fail, "99,999 bytes"},
		"missing": {http.NotFound, "web-seed", Fail, "404 Not Found"},
		"loop":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "web-seed", Fail, "circle"},
		"garbage": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprint(conn, "\x00\x01garbage\n\n")
			conn.Close()
		}, "web-seed", Fail, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, _ := newWeb(t).WebSeed(t.Context(), torrentOf(t, data, metainfo.V1), serve(t, c.serve).URL+"/a.bin", loopback, nil)
			want(t, list, c.check, c.level, c.text)
			if todo := ToDo(list); c.level == OK && len(todo) > 0 {
				t.Errorf("a good server has the findings %v", todo)
			}
		})
	}
	t.Run("v2", func(t *testing.T) {
		t.Parallel()
		m := torrentOf(t, data, metainfo.V2)
		list, _ := newWeb(t).WebSeed(t.Context(), m, serve(t, good).URL+"/a.bin", loopback, nil)
		want(t, list, "web-seed-data", OK, "3 pieces")
		list, _ = newWeb(t).WebSeed(t.Context(), torrentOf(t, wrong, metainfo.V2), serve(t, good).URL+"/a.bin", loopback, nil)
		want(t, list, "web-seed-data", Fail, "other bytes")
	})
	list, _ := newWeb(t).WebSeed(t.Context(), torrentOf(t, data, metainfo.V1), "ftp://example.org/a.bin", loopback, nil)
	want(t, list, "web-seed", Fail, "not an http or https URL")
}

// TestPageAndTorrentFile checks the findings about the page and the media type of the .torrent.
func TestPageAndTorrentFile(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good.torrent":
			w.Header().Set("Content-Type", "application/x-bittorrent")
		case "/text.torrent":
			w.Header().Set("Content-Type", "text/plain")
		case "/late":
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		case "/none":
			http.NotFound(w, r)
		}
	})
	w := newWeb(t)
	list, _ := w.TorrentFile(t.Context(), s.URL+"/good.torrent")
	want(t, list, "torrent-type", OK, "application/x-bittorrent")
	list, _ = w.TorrentFile(t.Context(), s.URL+"/text.torrent")
	want(t, list, "torrent-type", Warn, "text/plain")
	list, clock := w.Page(t.Context(), s.URL+"/late")
	want(t, list, "page", OK, "answers")
	want(t, Clock(clock), "clock", Warn, "behind")
	list, _ = w.Page(t.Context(), s.URL+"/none")
	want(t, list, "page", Fail, "404")
	s.Close()
	list, _ = w.Page(t.Context(), s.URL+"/late")
	want(t, list, "page", Fail, "connection refused")
}

// TestCertificate checks the findings about a certificate that has expired, that is for another
// name, that nobody trusts, and that ends soon.
func TestCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		ends    time.Duration
		trusted bool
		ip      net.IP
		check   string
		level   Level
		text    string
	}{
		"expired":    {-time.Hour, true, net.IPv4(127, 0, 0, 1), "page", Fail, "expired on"},
		"other name": {90 * 24 * time.Hour, true, net.IPv4(127, 0, 0, 9), "page", Fail, "127.0.0.9"},
		"untrusted":  {90 * 24 * time.Hour, false, net.IPv4(127, 0, 0, 1), "page", Fail, "not trusted"},
		"ends soon":  {24 * time.Hour, true, net.IPv4(127, 0, 0, 1), "certificate", Warn, "ends on"},
		"good":       {90 * 24 * time.Hour, true, net.IPv4(127, 0, 0, 1), "certificate", OK, "valid until"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(c.ends), IPAddresses: []net.IP{c.ip}, IsCA: true, BasicConstraintsValid: true}
			der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			old := *cert // the server sends this certificate too, as some do for old clients
			old.NotAfter = now.Add(-time.Hour)
			oldDER, err := x509.CreateCertificate(rand.Reader, &old, &old, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der, oldDER}, PrivateKey: key}}}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			w := newWeb(t)
			if c.trusted {
				pool := x509.NewCertPool()
				if cert, err = x509.ParseCertificate(der); err != nil {
					t.Fatal(err)
				}
				pool.AddCert(cert)
				w.roots = pool
			}
			list, _ := w.Page(t.Context(), s.URL)
			want(t, list, c.check, c.level, c.text)
		})
	}
}

// TestTracker checks the findings about the answers of trackers.
func TestTracker(t *testing.T) {
	t.Parallel()
	stopped := make(chan bool, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("kind") == "refuses":
			fmt.Fprint(w, "d14:failure reason12:unregisterede")
		case q.Get("kind") == "garbage":
			fmt.Fprint(w, "<html>hello")
		case q.Get("event") == "stopped":
			stopped <- true
			fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
		case q.Get("kind") == "warns":
			fmt.Fprint(w, "d8:intervali1800e5:peers0:15:warning message4:slowe")
		default:
			fmt.Fprint(w, "d8:completei3e10:incompletei5e8:intervali1800e5:peers0:e")
		}
	})
	tr := &Trackers{Bind: loopback, Port: 6881, Now: time.Now}
	check := func(url string) []Finding { return tr.Check(t.Context(), url, spate.InfoHash{1}) }
	want(t, check(s.URL+"/announce"), "tracker", OK, "knows 3 seeds")
	<-stopped
	want(t, check(s.URL+"/announce?kind=warns"), "tracker", Warn, "slow")
	want(t, check(s.URL+"/announce?kind=refuses"), "tracker", Fail, "unregistered")
	want(t, check(s.URL+"/announce?kind=garbage"), "tracker", Fail, "tracker")
	if list := check(s.URL + "/announce?kind=refuses&passkey=secret"); strings.Contains(fmt.Sprint(list), "secret") {
		t.Errorf("the findings contain the passkey: %v", list)
	}
	s.Close()
	want(t, check(s.URL+"/announce"), "tracker", Fail, "connection refused")
}

// TestWebSocketTracker checks the findings about trackers of browsers, which are announced to without
// offers, and scraped if the torrent is private.
func TestWebSocketTracker(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		for {
			_, b, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			var m wire.WSRequest
			if err := wire.ParseWSRequest(b, &m); err != nil || len(m.Offers) > 0 {
				t.Errorf("%v: %s", err, b)
				return
			}
			got <- m.Action.String() + " " + m.Event.String()
			reply := wire.WSReply{InfoHash: m.InfoHash, Interval: 120, Complete: 3, Incomplete: 1, Downloaded: tracker.Unknown, Takers: tracker.Unknown}
			switch {
			case r.URL.Query().Has("refuses"):
				reply = wire.WSReply{InfoHash: m.InfoHash, Failure: "unregistered"}
			case m.Action == wire.WSScrape:
				reply = wire.WSReply{Action: wire.WSScrape, Entries: []tracker.ScrapeEntry{{InfoHash: m.InfoHash, Complete: 3}}}
			}
			conn.Write(r.Context(), websocket.MessageText, wire.AppendWSReply(nil, &reply))
		}
	})
	ih := spate.InfoHash{1}
	tr := &Trackers{Bind: loopback, Port: 6881, Now: time.Now}
	url := "ws" + strings.TrimPrefix(s.URL, "http") + "/announce"
	list := tr.Check(t.Context(), url, ih)
	want(t, list, "tracker", OK, "knows 3 seeds")
	if !Served(list) {
		t.Error("the tracker does not count as one that serves the torrent")
	}
	if a, b := <-got, <-got; a != "announce started" || b != "announce stopped" {
		t.Errorf("the tracker gets %s and %s", a, b)
	}
	want(t, tr.Check(t.Context(), url+"?refuses", ih), "tracker", Fail, "unregistered")
	want(t, tr.Check(t.Context(), strings.TrimSuffix(url, "/announce")+"/scrape", ih), "tracker", OK, "knows 3 seeds")
	want(t, tr.Scrape(t.Context(), url, ih), "tracker", OK, "knows 3 seeds; not announced to")
	want(t, tr.Scrape(t.Context(), url+"?refuses", ih), "tracker", Note, "it answers no scrape")
	s.Close()
	want(t, tr.Check(t.Context(), url, ih), "tracker", Fail, "connection refused")
}

// TestPrivateTorrentIsScraped checks that the other trackers of a private torrent get no announce, and
// what is said about their answers.
func TestPrivateTorrentIsScraped(t *testing.T) {
	t.Parallel()
	ih := spate.InfoHash{1}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/scrape"):
			t.Errorf("the tracker gets %s", r.URL)
		case r.URL.Query().Get("kind") == "none":
			http.NotFound(w, r)
		case r.URL.Query().Get("kind") == "unknown":
			fmt.Fprint(w, "d5:filesdee")
		default:
			fmt.Fprintf(w, "d5:filesd20:%sd8:completei3e10:downloadedi0e10:incompletei1eeee", ih[:])
		}
	})
	tr := &Trackers{Bind: loopback, Now: time.Now}
	check := func(path string) []Finding { return tr.Scrape(t.Context(), s.URL+path, ih) }
	want(t, check("/announce"), "tracker", OK, "knows 3 seeds; not announced to")
	want(t, check("/announce?kind=none"), "tracker", Note, "it answers no scrape")
	want(t, check("/tracker"), "tracker", Note, "it answers no scrape")
	want(t, check("/announce?kind=unknown"), "tracker", Note, "does not have the torrent")
	s.Close()
	want(t, check("/announce"), "tracker", Fail, "connection refused")
}

// TestLongPiecesAreNotHeldInMemory checks that doctor hashes pieces of a web seed while it reads them.
func TestLongPiecesAreNotHeldInMemory(t *testing.T) { // not parallel, because it counts all that is allocated
	data := make([]byte, 3*8<<20)
	path := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []metainfo.Format{metainfo.V1, metainfo.V2} {
		m, err := maker.Make(t.Context(), path, maker.Options{Format: f, PieceLength: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		list, _ := newWeb(t).WebSeed(t.Context(), m, s.URL+"/a.bin", loopback, nil)
		runtime.ReadMemStats(&after)
		want(t, list, "web-seed-data", OK, "3 pieces")
		if n := after.TotalAlloc - before.TotalAlloc; n > 6<<20 {
			t.Errorf("%v: %d bytes are allocated for pieces of 8 MiB", f, n)
		}
	}
}

// TestTrackerLeave checks that a check that is interrupted during the announce announces "stopped"
// all the same.
func TestTrackerLeave(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan string, 8)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		events <- r.URL.Query().Get("event")
		cancel()
		fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
	})
	tr := &Trackers{Bind: loopback, Now: time.Now}
	tr.Check(ctx, s.URL+"/announce", spate.InfoHash{1})
	close(events)
	var got []string
	for e := range events {
		got = append(got, e)
	}
	if want := []string{"started", "stopped"}; !slices.Equal(got, want) {
		t.Errorf("events are %q, want %q", got, want)
	}
}
