package trackerstats

import (
	"bytes"
	"embed"
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"spate"
	"spate/internal/httpcontent"
)

//go:embed templates/stats.html static/stats.css messages
var assets embed.FS

// statsPolicy is the content security policy of the page. The page needs its style sheet
// and an empty icon, and no scripts.
const statsPolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the statistics of t at /stats, /stats.json, /stats/stats.css and
// /metrics. With Options.AllowGet it serves the .torrent files of allowed torrents at
// /stats/torrent/HASH.torrent and at /file?info_hash=, which is the path of bttrack.
func (st *Statistics) Handler(t Tracker) http.Handler {
	mux := http.NewServeMux()
	css, err := assets.ReadFile("static/stats.css")
	if err != nil {
		panic(err) // the file is embedded
	}
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) { st.servePage(w, r, t) })
	mux.HandleFunc("GET /stats.json", func(w http.ResponseWriter, r *http.Request) { st.serveJSON(w, r, t) })
	mux.HandleFunc("GET /stats/stats.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		httpcontent.Send(w, r, "text/css; charset=utf-8", css)
	})
	metrics := st.metricsHandler(t)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // each request has other values, and no validators
		if !st.mayMeasure(r) {
			http.Error(w, "the metrics are shown to this machine only; --public-metrics shows them to all", http.StatusForbidden)
			return
		}
		metrics.ServeHTTP(w, r)
	})
	if st.opts.AllowGet {
		mux.HandleFunc("GET /stats/torrent/{name}", func(w http.ResponseWriter, r *http.Request) {
			ih, err := spate.ParseInfoHash(strings.TrimSuffix(r.PathValue("name"), ".torrent"))
			serveTorrent(w, r, t, ih, err == nil)
		})
		mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
			var ih spate.InfoHash
			raw := r.URL.Query().Get("info_hash")
			serveTorrent(w, r, t, ih, copy(ih[:], raw) == len(raw) && len(raw) == len(ih))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// mayMeasure is [Options.MayMeasure].
func (st *Statistics) mayMeasure(r *http.Request) bool {
	return st.opts.MayMeasure == nil || st.opts.MayMeasure(r)
}

// servePage serves the page in the language of the visitor.
func (st *Statistics) servePage(w http.ResponseWriter, r *http.Request, t Tracker) {
	l := st.languages.Of(r)
	p := st.page(l, st.Report(t), r.URL.Query())
	p.Metrics = st.mayMeasure(r)
	var b bytes.Buffer
	if err := st.pages[l.Code].Execute(&b, p); err != nil {
		st.opts.Log.Error("the statistics page failed", "err", err)
		http.Error(w, "the statistics page failed: see the log", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", statsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	st.languages.Vary(w, r, st.opts.CookiePath)
	httpcontent.Send(w, r, "text/html; charset=utf-8", b.Bytes())
}

func (st *Statistics) serveJSON(w http.ResponseWriter, r *http.Request, t Tracker) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	data, err := json.MarshalIndent(st.Report(t), "", "  ")
	if err != nil {
		st.opts.Log.Error("the statistics failed", "err", err)
		http.Error(w, "the statistics failed: see the log", http.StatusInternalServerError)
		return
	}
	httpcontent.Send(w, r, "application/json", append(data, '\n'))
}

// serveTorrent serves the .torrent file of an allowed torrent. valid reports whether the
// request has an info-hash.
func serveTorrent(w http.ResponseWriter, r *http.Request, t Tracker, ih spate.InfoHash, valid bool) {
	if !valid {
		http.NotFound(w, r)
		return
	}
	name, b, err := t.TorrentFile(ih)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	httpcontent.Send(w, r, "application/x-bittorrent", b)
}
