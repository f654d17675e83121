package trackerstats

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spate"
)

// getIn gets a path in a language.
func (u *fixture) getIn(path, accept string) *httptest.ResponseRecorder {
	u.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Language", accept)
	w := httptest.NewRecorder()
	u.st.Handler(u.s).ServeHTTP(w, r)
	return w
}

// TestPageIsInTheLanguageOfTheVisitor checks the texts and numbers of the page in each language, the links
// that change the language, and that the documents for programs are the same in all languages.
func TestPageIsInTheLanguageOfTheVisitor(t *testing.T) {
	t.Parallel()
	u := newFixture(t, Options{ShowNames: true, Home: "./", Site: "Ours", CookiePath: "/pub/"})
	u.traffic()
	for range 30 {
		u.now = u.now.Add(time.Minute)
		u.announce(spate.InfoHash{1}, "203.0.113.1", "-TR4050-", "&left=0")
		u.st.Sample(u.s)
	}
	for accept, want := range map[string][]string{
		"en":    {`<html lang="en"`, "<h1>Tracker</h1>", "up 30 min 0 s", "4 March 2026, 05:36 UTC", "peers of the last hour", "<b aria-current=\"true\">4 hours</b>", "1.0 kB"},
		"de-CH": {`<html lang="de"`, "läuft seit 30 min 0 s", "4. März 2026, 05:36 UTC", "Teilnehmer der letzten Stunde", "4 Stunden", "1,0 kB", "50 %"},
		"es-MX": {`<html lang="es"`, "en marcha desde hace 30 min 0 s", "pares de la última hora", "4 horas"},
		"zh-CN": {`<html lang="zh-Hans"`, "已运行 30 分 0 秒", "最近一小时的节点", "4 小时"},
	} {
		w := u.getIn("/stats", accept)
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("the page for %s does not contain %q:\n%s", accept, text, w.Body)
			}
		}
		if got := w.Header().Get("Vary"); got != "Accept-Language, Cookie" {
			t.Errorf("%s: Vary is %q", accept, got)
		}
	}
	w := u.getIn("/stats?past=week&lang=es", "de")
	for _, text := range []string{`<html lang="es"`, `<a href="?lang=de&amp;past=week" hreflang="de" lang="de" rel="nofollow">Deutsch</a>`, "<strong>Español</strong>"} {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("the Spanish page does not contain %s", text)
		}
	}
	if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, "spate-lang=es; Path=/pub/; ") {
		t.Errorf("the page sets the cookie %q", got)
	}
	for _, path := range []string{"/stats.json", "/metrics"} {
		german, english := u.getIn(path, "de"), u.getIn(path, "en")
		if path == "/stats.json" && german.Body.String() != english.Body.String() || strings.Contains(german.Header().Get("Vary"), "Language") {
			t.Errorf("%s depends on the language", path)
		}
	}
}

// TestZerosAreNotShown checks that the page of a tracker without requests shows no numbers and charts that
// are zero, and that the page with traffic leaves out transports and cells without any.
func TestZerosAreNotShown(t *testing.T) {
	t.Parallel()
	u := newFixture(t, Options{ShowNames: true})
	for range 3 {
		u.now = u.now.Add(time.Minute)
		u.st.Sample(u.s)
	}
	page := u.get("/stats").Body.String()
	for _, text := range []string{">0<", "0%", "<figure", "announces", "HTTP", "Over time", `class="numbers"`} {
		if strings.Contains(page, text) {
			t.Errorf("the page of an idle tracker contains %q:\n%s", text, page)
		}
	}
	u.traffic()
	for range 3 {
		u.now = u.now.Add(time.Minute)
		u.st.Sample(u.s)
	}
	page = u.get("/stats").Body.String()
	for _, text := range []string{"<dd>0", ">0</td>", ">0%<", "WebSocket", "0 UDP", "refused"} {
		if strings.Contains(page, text) {
			t.Errorf("the page contains %q:\n%s", text, page)
		}
	}
	if !strings.Contains(page, "<figure") || !strings.Contains(page, "HTTP") {
		t.Error("the page has no charts")
	}
}
