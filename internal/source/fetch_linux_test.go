package source

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"testing"

	"spate/internal/fault"
	"spate/internal/netguard/guardtest"
	"spate/signature"
)

// Addresses in the network namespace of these tests.
const (
	public4, public6 = "198.51.100.7", "2001:db8::7"
	localNetwork     = "10.9.9.9"
	metadataService  = "169.254.169.254"
)

// serveAt serves f at an address, and returns the port.
func serveAt(t *testing.T, address string, f http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, f)
}

// serveOn serves f on l, and returns the port.
func serveOn(t *testing.T, l net.Listener, f http.HandlerFunc) string {
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// servePrivately serves a torrent at the private addresses, which a public server may not redirect to,
// and counts the requests.
func servePrivately(t *testing.T) (port string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	answer := func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", torrentType)
		fmt.Fprint(w, someTorrent)
	}
	port = serveAt(t, "127.0.0.1:0", answer)
	for _, host := range []string{localNetwork, metadataService} {
		serveAt(t, net.JoinHostPort(host, port), answer)
	}
	return port, asked
}

// TestRedirectFromDialledAddress checks the redirect of a host with a slow public IPv6 address
// and an IPv4 address of this machine. get dials both. The public server answers, so its
// redirect to this machine is an error.
func TestRedirectFromDialledAddress(t *testing.T) {
	if !guardtest.InNamespace(t, public6) {
		return
	}
	admin := serveAt(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	port := serveOn(t, guardtest.ListenSlowly(t, "["+public6+"]:0"), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+admin+"/admin", http.StatusFound)
	})
	r := &Resolver{}
	r.Names = guardtest.Names(map[string][]string{"two.test": {public6, "127.0.0.1"}})
	if s, err := r.Resolve(context.Background(), "http://two.test:"+port+"/x"); fault.CodeOf(err) != fault.Network {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestNoRedirectToPrivateAddress checks that no redirect, link or signature of a public server
// makes get connect to this machine, to the local network or to the metadata service of a
// cloud, by address or by a name that changes its address.
func TestNoRedirectToPrivateAddress(t *testing.T) {
	if !guardtest.InNamespace(t, public4, public6, localNetwork, metadataService) {
		return
	}
	port, asked := servePrivately(t)
	site := serveAt(t, public4+":0", func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, to, http.StatusFound)
		case "/link":
			w.Header().Set("Link", `<`+to+`>; rel="alternate"; type="application/x-bittorrent"`)
		case "/page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<a href="%s">the torrent</a>`, to)
		case "/again":
			http.Redirect(w, r, "/redirect?to="+to, http.StatusFound)
		}
	})
	var lookups atomic.Int32
	r := &Resolver{}
	r.Names = guardtest.Resolver(func(name string) []string {
		switch {
		case name == "site.test", name == "changes.test" && lookups.Add(1) <= 2: // one lookup for each address family
			return []string{public4}
		case name == "changes.test", name == "inside.test":
			return []string{"127.0.0.1"}
		}
		return nil
	})
	for _, host := range []string{"127.0.0.1", localNetwork, metadataService, "inside.test", "changes.test", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"} {
		for _, how := range []string{"redirect", "link", "page", "again"} {
			lookups.Store(0)
			from := "site.test"
			if host == "changes.test" {
				from = host
			}
			url := "http://" + from + ":" + site + "/" + how + "?to=http://" + host + ":" + port + "/x.torrent"
			if s, err := r.Resolve(context.Background(), url); fault.CodeOf(err) != fault.Network || asked.Load() != 0 {
				t.Fatalf("%s: %+v, %v, asked %d times", url, s, err, asked.Load())
			}
		}
	}
	// The user may give private addresses, but not the metadata service.
	for host, code := range map[string]fault.Code{"127.0.0.1": 0, localNetwork: 0, "inside.test": 0, "0.0.0.0": 0, metadataService: fault.Network, "[::ffff:169.254.169.254]": fault.Network} {
		before := asked.Load()
		_, err := r.Resolve(context.Background(), "http://"+host+":"+port+"/x.torrent")
		if fault.CodeOf(err) != code || (asked.Load() == before) != (code != 0) {
			t.Errorf("%s given by the user: %v, asked %d times", host, err, asked.Load()-before)
		}
	}
}

// TestNoSignatureFromPrivateAddress checks that a public page cannot name a signature at a
// private address.
func TestNoSignatureFromPrivateAddress(t *testing.T) {
	if !guardtest.InNamespace(t, public4, localNetwork, metadataService) {
		return
	}
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	port, asked := servePrivately(t)
	for _, host := range []string{"127.0.0.1", localNetwork, metadataService} {
		site := serveAt(t, public4+":0", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s:%s/x.minisig>; rel=describedby; type="%s"; key="%s"`, host, port, signatureType, key.Public()))
			w.Header().Set("Content-Type", torrentType)
			fmt.Fprint(w, someTorrent)
		})
		r := &Resolver{}
		src, err := r.Resolve(context.Background(), "http://"+public4+":"+site+"/x.torrent")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CheckSignature(context.Background(), src, Trust{State: t.TempDir()}); fault.CodeOf(err) != fault.Network || asked.Load() != 0 {
			t.Errorf("%s: %v, asked %d times", host, err, asked.Load())
		}
	}
}

// TestNoTorrentOfLinkAtPrivateAddress checks that the URL of a .torrent in a magnet link or a
// Metalink leads no nearer than the server that sent it, and that one with a query leads to
// public addresses only.
func TestNoTorrentOfLinkAtPrivateAddress(t *testing.T) {
	if !guardtest.InNamespace(t, public4, localNetwork, metadataService) {
		return
	}
	port, asked := servePrivately(t)
	magnetTo := func(url string) string {
		return "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&xs=" + neturl.QueryEscape(url)
	}
	metalinkTo := func(url string) string {
		return `<metalink><file name="a"><metaurl mediatype="torrent">` + url + `</metaurl></file></metalink>`
	}
	site := serveAt(t, public4+":0", func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		switch r.URL.Path {
		case "/redirect":
			w.Header().Set("Location", magnetTo(to))
			w.WriteHeader(http.StatusFound)
		case "/page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<a href="%s">the torrent</a>`, magnetTo(to))
		case "/a.meta4":
			fmt.Fprint(w, metalinkTo(to))
		case "/list":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<a href="/redirect?to=`+to+`&.torrent">m</a>`)
		}
	})
	fetch := func(arg, stdin string) {
		r := &Resolver{Stdin: strings.NewReader(stdin)}
		if src, err := r.Resolve(t.Context(), arg); err == nil {
			r.FetchTorrent(t.Context(), src)
		}
	}
	for _, host := range []string{"127.0.0.1", localNetwork, metadataService, "0.0.0.0"} {
		to := "http://" + host + ":" + port + "/x.torrent"
		for _, path := range []string{"redirect", "page", "a.meta4", "list"} {
			fetch("http://"+public4+":"+site+"/"+path+"?to="+to, "")
			if asked.Swap(0) != 0 {
				t.Errorf("/%s of a public server led to %s", path, host)
			}
		}
		fetch(magnetTo(to+"?a=b"), "")
		fetch("-", magnetTo(to+"?"))
		fetch("-", metalinkTo(to+"?a=b"))
		fetch("-", to+"?a=b")
		if asked.Swap(0) != 0 {
			t.Errorf("a URL with a query in a link led to %s", host)
		}
		want := int32(4)
		if host == metadataService || host == "0.0.0.0" {
			want = 0
		}
		fetch(magnetTo(to), "")
		fetch("-", magnetTo(to))
		fetch("-", metalinkTo(to))
		fetch("-", to)
		if n := asked.Swap(0); n != want {
			t.Errorf("links that the user gave led to %s %d times, want %d", host, n, want)
		}
	}
}
