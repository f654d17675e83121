package source

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/netguard"
)

const someTorrent = "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"

// TestResolveURL checks that a torrent is found by the URL of its page, its data, its .torrent
// file, or a page with a link.
func TestResolveURL(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/x.torrent", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", torrentType)
		fmt.Fprint(w, someTorrent)
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
	mux.HandleFunc("/file.iso", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Link", `</style.css>; rel=preload, </x.torrent>; rel="alternate"; type="application/x-bittorrent"`)
		w.Header().Set("Content-Length", "999999999999")
		w.Write(bytes.Repeat([]byte("x"), 1000))
	})
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, body)
		}
	}
	mux.HandleFunc("/r/page", page(`<html><!-- <link rel=alternate type=application/x-bittorrent href=/no> --><LINK type='application/x-bittorrent' href="../x.torrent?a=1&amp;b=2" rel="nofollow ALTERNATE">`))
	mux.HandleFunc("/one", page(`<a class=x href='x.torrent'>get</a> <a href="/x.torrent#top">again</a>`))
	mux.HandleFunc("/two", page(`<a href=x.torrent>one</a><a href=y.torrent>two</a>`))
	mux.HandleFunc("/magnet", page(`<a href="magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&amp;dn=a">m</a>`))
	mux.HandleFunc("/to-cut", page(`<a href=cut.torrent>get</a>`))
	mux.HandleFunc("/to-huge", page(`<a href=huge.torrent>get</a>`))
	mux.HandleFunc("/empty", page(`<p>nothing`))
	mux.HandleFunc("/other.iso", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 5000)) })
	mux.HandleFunc("/other.iso.torrent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
	mux.Handle("/moved", http.RedirectHandler("/x.torrent", http.StatusFound))
	mux.Handle("/circle", http.RedirectHandler("/circle", http.StatusFound))
	mux.Handle("/ftp", http.RedirectHandler("ftp://127.0.0.1/x", http.StatusFound))
	mux.HandleFunc("/huge.torrent", func(w http.ResponseWriter, _ *http.Request) {
		for range 11 {
			w.Write(make([]byte, 1<<20))
		}
	})
	mux.HandleFunc("/cut.torrent", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		fmt.Fprint(w, someTorrent)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	r := &Resolver{retry: netguard.Backoff{First: time.Millisecond, Last: time.Millisecond}}
	for _, path := range []string{"/x.torrent", "/plain", "/file.iso", "/r/page", "/one", "/other.iso", "/moved"} {
		s, err := r.Resolve(context.Background(), srv.URL+path)
		if err != nil || string(s.Torrent) != someTorrent {
			t.Errorf("%s: %+v, %v", path, s, err)
		}
	}
	if s, err := r.Resolve(context.Background(), srv.URL+"/magnet"); err != nil || !strings.HasPrefix(s.Magnet, "magnet:?") {
		t.Errorf("/magnet: %+v, %v", s, err)
	}
	for path, code := range map[string]fault.Code{
		"/absent": fault.NotFound, "/empty": fault.NotFound, "/two": fault.Failed, "/circle": fault.Network,
		"/ftp": fault.Network, "/huge.torrent": fault.BadData, "/cut.torrent": fault.Network,
		"/to-huge": fault.BadData, "/to-cut": fault.Network,
	} {
		s, err := r.Resolve(context.Background(), srv.URL+path)
		if fault.CodeOf(err) != code {
			t.Errorf("%s: %+v, %v: exit code %d, want %d", path, s, err, fault.CodeOf(err), code)
		}
	}
}

// TestDirectInPage checks that Resolve finds the URL of the data in a <link> of a page, and that a
// Link header comes first.
func TestDirectInPage(t *testing.T) {
	for _, c := range []struct{ header, page, want string }{
		{"", `<link rel="enclosure" href="/d/x">`, "/d/x"},
		{"", `<LINK REL='item Enclosure' HREF=../d/>`, "/d/"},
		{"", `<link rel="enclosure" href="http://other.example/d/x">`, ""},
		{"", `<link rel="enclosure" href="/d/x?q=1">`, ""},
		{"", `<link rel="alternate" href="/d/x">`, ""},
		{"", `<a rel="enclosure" href="/d/x">data</a>`, ""},
		{`</d/header>; rel="enclosure"`, `<link rel="enclosure" href="/d/x">`, "/d/header"},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/r/page", func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("Link", c.header)
			}
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, c.page, `<a href="/plain.torrent">get</a>`)
		})
		mux.HandleFunc("/plain.torrent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
		srv := httptest.NewServer(mux)
		defer srv.Close()
		s, err := new(Resolver).Resolve(t.Context(), srv.URL+"/r/page")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(s.Direct, srv.URL); got != c.want {
			t.Errorf("header %q, page %s: the URL of the data is %q, want %q", c.header, c.page, s.Direct, c.want)
		}
	}
}

// TestDirect checks that Resolve finds the URL of the data that a page or a torrent names in a
// Link header, only at the same server and without a query.
func TestDirect(t *testing.T) {
	for link, want := range map[string]string{
		`</d/x>; rel="enclosure"`:                          "/d/x",
		`<w/x/>; rel=Enclosure`:                            "/r/w/x/",
		`</a>; rel=preload, </d/x>; rel="item enclosure"`:  "/d/x",
		`<http://other.example/d/x>; rel="enclosure"`:      "",
		`</d/x?q=1>; rel="enclosure"`:                      "",
		`</d/x>; rel="alternate"`:                          "",
		`<//127.0.0.1:1/d/x>; rel="enclosure"`:             "",
		`<ftp://other.example/d/x>; rel="enclosure"`:       "",
		`</d/one>; rel=enclosure, </d/two>; rel=enclosure`: "/d/one",
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/r/named", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			w.Header().Set("Content-Type", torrentType)
			fmt.Fprint(w, someTorrent)
		})
		mux.HandleFunc("/r/page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<a href="/plain.torrent">get</a>`)
		})
		mux.HandleFunc("/plain.torrent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
		srv := httptest.NewServer(mux)
		defer srv.Close()
		for _, path := range []string{"/r/named", "/r/page"} {
			s, err := new(Resolver).Resolve(t.Context(), srv.URL+path)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimPrefix(s.Direct, srv.URL); got != want {
				t.Errorf("%s with %s: the URL of the data is %q, want %q", path, link, s.Direct, want)
			}
		}
	}
}

// TestSignals checks that Resolve finds the WebSocket tracker that a page or a torrent names in a
// Link header, only at the same server.
func TestSignals(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		`</announce>; rel="related"; type="application/x-spate-websocket-tracker"`:                     "/announce",
		`</d/x>; rel=enclosure, <../a>; rel=related; type="application/x-spate-websocket-tracker"`:     "/a",
		`<http://other.example/announce>; rel="related"; type="application/x-spate-websocket-tracker"`: "",
		`<ws://other.example/announce>; rel="related"; type="application/x-spate-websocket-tracker"`:   "",
		`</announce>; rel="related"`: "",
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/t/x.torrent", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			w.Header().Set("Content-Type", torrentType)
			fmt.Fprint(w, someTorrent)
		})
		mux.HandleFunc("/r/page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<a href="/plain.torrent">get</a>`)
		})
		mux.HandleFunc("/plain.torrent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
		srv := httptest.NewServer(mux)
		defer srv.Close()
		for _, path := range []string{"/t/x.torrent", "/r/page"} {
			s, err := new(Resolver).Resolve(t.Context(), srv.URL+path)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimPrefix(s.Signals, "ws"+strings.TrimPrefix(srv.URL, "http")); got != want {
				t.Errorf("%s with %s: the WebSocket tracker is %q, want %q", path, link, s.Signals, want)
			}
		}
	}
}

// TestDirectBesideTorrent checks that the URL of a file is the URL of the data if the torrent
// is beside it, and that the URL of a page is not.
func TestDirectBesideTorrent(t *testing.T) {
	mux := http.NewServeMux()
	for path, kind := range map[string]string{"/x.iso": "application/octet-stream", "/page": "text/html"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, "some data")
		})
		mux.HandleFunc(path+".torrent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, someTorrent) })
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for path, want := range map[string]string{"/x.iso": srv.URL + "/x.iso", "/page": ""} {
		s, err := new(Resolver).Resolve(t.Context(), srv.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		if s.Direct != want {
			t.Errorf("%s: the URL of the data is %q, want %q", path, s.Direct, want)
		}
	}
}

// TestResolveRefused checks the error about a port without a listener.
func TestResolveRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := &Resolver{}
	_, err = r.Resolve(context.Background(), "http://"+l.Addr().String()+"/x")
	if fault.CodeOf(err) != fault.Network || !strings.Contains(fault.HintOf(err), "nothing listens") {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}
