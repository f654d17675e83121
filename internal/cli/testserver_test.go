package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"spate/maker"
)

// testServer returns the server at $WORLD in the scripts. It is a tracker that behaves as the
// parameter kind of the URL says, and a site with a torrent that has no peers.
func testServer() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("kind") == "refuses":
			fmt.Fprint(w, "d14:failure reason12:unregisterede")
		case q.Get("kind") == "garbage":
			fmt.Fprint(w, "<html>hello")
		case q.Get("kind") == "silent":
			<-r.Context().Done()
		case q.Get("kind") == "absent":
			http.NotFound(w, r)
		case q.Get("event") == "stopped":
			fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
		default:
			fmt.Fprint(w, "d8:completei3e11:external ip4:\x7f\x00\x00\x0110:incompletei5e8:intervali1800e12:min intervali300e"+
				"5:peers12:\xc0\x00\x02\x01\x1a\xe1\xc0\x00\x02\x02\x1a\xe215:warning message9:\x1b[31mslowe")
		}
	})
	mux.HandleFunc("/scrape", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "d5:filesd20:AAAAAAAAAAAAAAAAAAAAd8:completei7e10:downloadedi9e10:incompletei8eeee")
	})
	const data = "data of a torrent without peers\n"
	mux.HandleFunc("/lonely.txt", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(data))
	})
	mux.HandleFunc("/lonely.torrent", func(w http.ResponseWriter, r *http.Request) {
		m, err := maker.MakeReader(context.Background(), strings.NewReader(data), int64(len(data)), maker.Options{
			Name: "lonely.txt", Announce: [][]string{{"http://" + r.Host + "/announce?kind=refuses"}},
		})
		var torrent []byte
		if err == nil {
			torrent, err = m.Bytes()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-bittorrent")
		w.Header().Set("Link", `</lonely.txt>; rel="enclosure"`)
		w.Write(torrent)
	})
	return httptest.NewServer(mux)
}
