package trackerstats

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"

	"spate/internal/lang"
)

// parsePages returns the languages of the page and its template in each of them, by code.
func parsePages() (*lang.Languages, map[string]*template.Template, error) {
	languages, err := lang.Load(assets)
	if err != nil {
		return nil, nil, err
	}
	base, err := template.New("stats.html").Funcs(funcs(languages.English())).ParseFS(assets, "templates/stats.html")
	if err != nil {
		return nil, nil, err
	}
	pages := map[string]*template.Template{}
	for _, l := range languages.All {
		page, err := base.Clone()
		if err != nil {
			return nil, nil, err
		}
		pages[l.Code] = page.Funcs(funcs(l))
	}
	return languages, pages, nil
}

// funcs returns the functions of the template in a language.
func funcs(l *lang.Language) template.FuncMap {
	return template.FuncMap{
		"t":     l.T,
		"count": func(n any) string { return count(l, number(n)) },
		"whole": func(n any) string { return l.Count(int64(number(n))) },
		"bytes": l.Bytes,
		"clock": l.Clock,
		"share": func(part, all any) string { return percent(l, number(part), number(all)) },
		"width": func(part, all any) string { return fmt.Sprintf("%.1f", 100*ratio(number(part), number(all))) },
		"dict": func(kv ...any) map[string]any {
			m := map[string]any{}
			for i := 0; i+1 < len(kv); i += 2 {
				m[fmt.Sprint(kv[i])] = kv[i+1]
			}
			return m
		},
		"short": func(hash string) string { return hash[:8] + "…" + hash[len(hash)-4:] },
	}
}

// page is the data of the template. Numbers that are zero are left out.
type page struct {
	*Report
	Title     string
	Lang      string // for the lang attribute
	Languages []languageLink
	Uptime    string
	Home      string
	Site      string
	Spans     []spanLink
	Young     bool // there are too few points for charts
	Charts    []chart
	Protocols []share
	Families  []share
	Programs  []share
	Facts     []fact
	ShowNames bool
	Hidden    bool
	Metrics   bool // whether the visitor may get the metrics
	More      int  // number of active torrents that are not listed
}

// languageLink is a link to the page in a language.
type languageLink struct {
	Name, Tag, Link string
	Here            bool // whether it is the language of the page
}

// spanLink is a link to the charts of a span of time.
type spanLink struct {
	Name, Link string
	Here       bool
}

// share is N of All, shown as a bar.
type share struct {
	Class, Name string
	N           uint64
	All         uint64
}

// fact is a line of the table of requests.
type fact struct{ Name, Value string }

// page returns the data of the page for a request with the parameters query.
func (st *Statistics) page(l *lang.Language, r *Report, query url.Values) *page {
	week := query.Get("past") == "week"
	p := &page{Report: r, Title: r.Title, Lang: l.Tag, Home: st.opts.Home, Site: st.opts.Site, ShowNames: st.opts.ShowNames, Hidden: st.opts.HideTorrents}
	if st.opts.Title == "" {
		p.Title = l.T("Tracker")
	}
	p.Uptime = l.Duration(r.Time.Sub(r.Started))
	for _, o := range st.languages.All {
		q := url.Values{"lang": {o.Code}}
		if week {
			q.Set("past", "week")
		}
		p.Languages = append(p.Languages, languageLink{o.Name, o.Tag, "?" + q.Encode(), o == l})
	}
	p.Spans = []spanLink{{l.T("%d hours", minutePoints/60), "?", !week}, {l.T("week"), "?past=week", week}}
	p.Young, p.Charts = charts(l, r, week)
	p.Protocols = shares(
		share{"udp", "UDP", r.Announces.UDP, r.Announces.All}, share{"http", "HTTP", r.Announces.HTTP, r.Announces.All},
		share{"ws", "WebSocket", r.Announces.WebSocket, r.Announces.All})
	all := uint64(r.Peers.IPv4 + r.Peers.IPv6)
	p.Families = shares(share{"four", "IPv4", uint64(r.Peers.IPv4), all}, share{"six", "IPv6", uint64(r.Peers.IPv6), all})
	p.Programs = programs(l, r.Clients)
	p.Facts = facts(l, r)
	p.More = max(r.Torrents.Active-len(r.Busiest), 0)
	return p
}

// charts returns the charts of the last hours or of the last week, without those that are zero all the
// time. young reports whether there are too few points for charts.
func charts(l *lang.Language, r *Report, week bool) (young bool, list []chart) {
	past, hour := r.Past, 60
	if week {
		past, hour = r.Week, 4
	}
	number := func(v float64) string { return count(l, v) }
	rate := func(v float64) string { return perSecond(l, v) }
	for _, c := range []chart{
		newChart(l, l.T("Peers"), "", past, number,
			layer{"seed", l.T("Seeds"), func(p *Point) float64 { return float64(p.Seeders) }},
			layer{"leech", l.T("Downloading"), func(p *Point) float64 { return float64(p.Leechers) }}),
		newChart(l, l.T("Announces"), "", smooth(past, 3), rate,
			layer{"udp", "UDP", func(p *Point) float64 { return float64(p.UDP) / p.Seconds }},
			layer{"http", "HTTP", func(p *Point) float64 { return float64(p.HTTP) / p.Seconds }},
			layer{"ws", "WebSocket", func(p *Point) float64 { return float64(p.WebSocket) / p.Seconds }}),
		newChart(l, l.T("Completed"), l.T("in an hour"), smooth(past, hour), number,
			layer{"done", l.T("Completed"), func(p *Point) float64 { return float64(p.Completed) }}),
	} {
		if len(c.Areas) > 0 {
			list = append(list, c)
		}
	}
	return len(past) < 2, list
}

// shares returns the shares that are not zero.
func shares(all ...share) []share {
	var list []share
	for _, s := range all {
		if s.N > 0 {
			list = append(list, s)
		}
	}
	return list
}

// programs returns the shares of the most frequent clients, and of all others together.
func programs(l *lang.Language, clients []ClientShare) []share {
	total := uint64(0)
	for _, c := range clients {
		total += c.Peers
	}
	const most = 7
	rest := share{"other", l.T("others"), 0, total}
	var list []share
	for i, c := range clients {
		if i < most && c.Name != "other" {
			list = append(list, share{"client", c.Name, c.Peers, total})
		} else {
			rest.N += c.Peers
		}
	}
	return append(shares(list...), shares(rest)...)
}

// facts returns the numbers of requests that are not zero, and the memory of the peers.
func facts(l *lang.Language, r *Report) []fact {
	var list []fact
	add := func(name string, n uint64) {
		if n > 0 {
			list = append(list, fact{name, l.Count(int64(n))})
		}
	}
	add(l.T("announces"), r.Announces.All)
	var scrapes []string
	for _, s := range shares(share{Name: "HTTP", N: r.Scrapes.HTTP}, share{Name: "UDP", N: r.Scrapes.UDP}, share{Name: "WebSocket", N: r.Scrapes.WebSocket}) {
		scrapes = append(scrapes, l.Count(int64(s.N))+" "+s.Name)
	}
	if len(scrapes) > 0 {
		list = append(list, fact{l.T("scrapes"), strings.Join(scrapes, ", ")})
	}
	add(l.T("WebSocket connections"), r.WebSocket.Connections)
	add(l.T("offers passed on"), r.WebSocket.Offers)
	add(l.T("answers passed on"), r.WebSocket.Answers)
	add(l.T("peers in answers"), r.PeersSent)
	add(l.T("refused"), r.Refused)
	add(l.T("refused by the rate limit"), r.RateLimited)
	add(l.T("malformed"), r.Malformed)
	add(l.T("without connection id"), r.Unproved)
	add(l.T("peers expired"), r.Expired)
	add(l.T("peers evicted"), r.EvictedPeers)
	add(l.T("torrents known"), uint64(r.Torrents.Known))
	add(l.T("torrents allowed"), uint64(r.Torrents.Allowed))
	return append(list, fact{l.T("memory for peers"), l.Bytes(r.MemoryBytes)})
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
func percent(l *lang.Language, part, all float64) string {
	switch p := 100 * ratio(part, all); {
	case p > 0 && p < 1:
		return "<" + l.T("%s%%", "1")
	case p > 99 && p < 100:
		return ">" + l.T("%s%%", "99")
	default:
		return l.T("%s%%", fmt.Sprintf("%.0f", p))
	}
}
