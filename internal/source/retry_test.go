package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/netguard"
)

// TestAsksAgain checks which failures of a web server Resolve asks again after, and how often.
func TestAsksAgain(t *testing.T) {
	t.Parallel()
	status := func(code int, after string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(code)
		}
	}
	cut := func(head string, n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", head)
			w.Header().Set("Content-Length", fmt.Sprint(n))
			w.Write([]byte(someTorrent[:20]))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc // before the good answer
		fails  int              // how often it comes
		asked  int32            // requests
		ok     bool
	}{
		"good at once":          {nil, 0, 1, true},
		"busy once":             {status(503, ""), 1, 2, true},
		"busy, with a pause":    {status(503, "0"), 2, 3, true},
		"too many":              {status(429, ""), 1, 2, true},
		"a failure":             {status(500, ""), 3, 4, true},
		"a bad gateway":         {status(502, ""), 1, 2, true},
		"a slow gateway":        {status(504, ""), 1, 2, true},
		"too early":             {status(425, ""), 1, 2, true},
		"slow client":           {status(408, ""), 1, 2, true},
		"cut":                   {cut(torrentType, len(someTorrent)), 2, 3, true},
		"a page that is cut":    {cut("text/html", 1000), 1, 2, true},
		"no answer":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1, 2, true},
		"busy for long":         {status(503, ""), 9, 1 + maxRepeats, false},
		"cut for long":          {cut(torrentType, len(someTorrent)), 9, 1 + maxRepeats, false},
		"busy for an hour":      {status(503, "3600"), 9, 1, false},
		"not found":             {status(404, ""), 9, 1, false},
		"gone":                  {status(410, ""), 9, 1, false},
		"forbidden":             {status(403, "0"), 9, 1, false},
		"not implemented":       {status(501, ""), 9, 1, false},
		"a redirect to nowhere": {status(302, ""), 9, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if int(asked.Add(1)) <= c.fails {
					c.answer(w, r)
					return
				}
				w.Header().Set("Content-Type", torrentType)
				w.Write([]byte(someTorrent))
			}))
			defer srv.Close()
			var notes atomic.Int32
			r := &Resolver{
				retry: netguard.Backoff{First: time.Millisecond, Last: time.Millisecond},
				Notef: func(string, ...any) { notes.Add(1) },
			}
			src, err := r.Resolve(t.Context(), srv.URL+"/x.torrent")
			if (err == nil) != c.ok || asked.Load() != c.asked || notes.Load() != c.asked-1 {
				t.Errorf("%v, asked %d times, %d notes; want success %v, asked %d times", err, asked.Load(), notes.Load(), c.ok, c.asked)
			}
			if err == nil && string(src.Torrent) != someTorrent {
				t.Errorf("got %q", src.Torrent)
			}
			if err != nil && fault.CodeOf(err) != fault.Network && fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%v has the code %d", err, fault.CodeOf(err))
			}
		})
	}
}

// TestRedirectToMagnet checks that a URL or a link of a page may lead to a magnet link, and
// that the link still belongs to the site, which may have to sign.
func TestRedirectToMagnet(t *testing.T) {
	t.Parallel()
	const magnet = "magnet:?xt=urn:btih:4397b7935cdbcab573f728189ac5f9441623a2d4&dn=n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<link rel="alternate" type="application/x-bittorrent" href="/m">`)
		case "/twice":
			w.Header().Set("Location", "/m")
			w.WriteHeader(http.StatusMovedPermanently)
		case "/upper":
			w.Header().Set("Location", strings.Replace(magnet, "magnet", "MAGNET", 1))
			w.WriteHeader(http.StatusSeeOther)
		default:
			w.Header().Set("Location", magnet)
			w.WriteHeader(http.StatusFound)
		}
	}))
	defer srv.Close()
	for _, path := range []string{"/m", "/page", "/twice", "/upper", "/x.torrent"} {
		src, err := (&Resolver{}).Resolve(t.Context(), srv.URL+path)
		if err != nil || !strings.EqualFold(src.Magnet, magnet) || src.Torrent != nil || len(src.sites) == 0 {
			t.Errorf("%s: %+v, %v", path, src, err)
		}
	}
}
