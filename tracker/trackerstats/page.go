package trackerstats

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"strings"

	"spate"
	"spate/internal/httpcontent"
	"spate/internal/units"
)

//go:embed templates/stats.html static/stats.css
var assets embed.FS

var statsTemplate = template.Must(template.New("stats.html").Funcs(template.FuncMap{
	"count": func(n any) string { return count(number(n)) },
	"comma": func(n any) string { return units.Count(int64(number(n))) },
	"bytes": units.Bytes,
	"share": func(part, all any) string { return percent(number(part), number(all)) },
	"width": func(part, all any) string { return fmt.Sprintf("%.1f", 100*ratio(number(part), number(all))) },
	"dict": func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i+1 < len(kv); i += 2 {
			m[fmt.Sprint(kv[i])] = kv[i+1]
		}
		return m
	},
	"short": func(hash string) string { return hash[:8] + "…" + hash[len(hash)-4:] },
}).ParseFS(assets, "templates/stats.html"))

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

// page is the data of the template.
type page struct {
	*Report
	Uptime    string
	Home      string
	Site      string
	Week      bool
	Charts    []chart
	Protocols []share
	Families  []share
	Programs  []share
	ShowNames bool
	Hidden    bool
	More      int // number of active torrents that are not listed
}

// share is N of All, shown as a bar.
type share struct {
	Class, Name string
	N           uint64
	All         uint64
}

func (st *Statistics) servePage(w http.ResponseWriter, r *http.Request, t Tracker) {
	p := st.page(st.Report(t), r.URL.Query().Get("past") == "week")
	var b bytes.Buffer
	if err := statsTemplate.Execute(&b, p); err != nil {
		st.opts.Log.Error("the statistics page failed", "err", err)
		http.Error(w, "the statistics page failed: see the log", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", statsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	httpcontent.Send(w, r, "text/html; charset=utf-8", b.Bytes())
}

func (st *Statistics) page(r *Report, week bool) *page {
	p := &page{Report: r, Home: st.opts.Home, Site: st.opts.Site, Week: week, ShowNames: st.opts.ShowNames, Hidden: st.opts.HideTorrents}
	p.Uptime = units.LongDuration(r.Time.Sub(r.Started))
	past, hour := r.Past, 60
	if week {
		past, hour = r.Week, 4
	}
	p.Charts = []chart{
		newChart("Peers", "", past, count,
			layer{"seed", "Seeds", func(p *Point) float64 { return float64(p.Seeders) }},
			layer{"leech", "Downloading", func(p *Point) float64 { return float64(p.Leechers) }}),
		newChart("Announces", "", smooth(past, 3), perSecond,
			layer{"udp", "UDP", func(p *Point) float64 { return float64(p.UDP) / p.Seconds }},
			layer{"http", "HTTP", func(p *Point) float64 { return float64(p.HTTP) / p.Seconds }},
			layer{"ws", "WebSocket", func(p *Point) float64 { return float64(p.WebSocket) / p.Seconds }}),
		newChart("Completed", "in an hour", smooth(past, hour), count,
			layer{"done", "Completed", func(p *Point) float64 { return float64(p.Completed) }}),
	}
	p.Protocols = []share{
		{"udp", "UDP", r.Announces.UDP, r.Announces.All}, {"http", "HTTP", r.Announces.HTTP, r.Announces.All},
		{"ws", "WebSocket", r.Announces.WebSocket, r.Announces.All},
	}
	six, all := uint64(r.Peers.IPv6), uint64(r.Peers.IPv4+r.Peers.IPv6)
	p.Families = []share{{"four", "IPv4", uint64(r.Peers.IPv4), all}, {"six", "IPv6", six, all}}
	total := uint64(0)
	for _, c := range r.Clients {
		total += c.Peers
	}
	const programs = 7
	rest := share{"other", "others", 0, total}
	for i, c := range r.Clients {
		if i < programs && c.Name != "other" {
			p.Programs = append(p.Programs, share{"client", c.Name, c.Peers, total})
		} else {
			rest.N += c.Peers
		}
	}
	if rest.N > 0 {
		p.Programs = append(p.Programs, rest)
	}
	p.More = max(r.Torrents.Active-len(r.Busiest), 0)
	return p
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

// number converts the numbers in a template to float64.
func number(n any) float64 {
	switch n := n.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint32:
		return float64(n)
	case uint64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

func ratio(part, all float64) float64 {
	if all <= 0 {
		return 0
	}
	return part / all
}

// percent formats a ratio as a percentage. It rounds neither to 0 % nor to 100 %.
func percent(part, all float64) string {
	switch p := 100 * ratio(part, all); {
	case p > 0 && p < 1:
		return "<1%"
	case p > 99 && p < 100:
		return ">99%"
	default:
		return fmt.Sprintf("%.0f%%", p)
	}
}
