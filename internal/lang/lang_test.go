package lang_test

import (
	"errors"
	"html/template"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"spate/internal/lang"
	"spate/internal/lang/langtest"
)

// load returns the languages with a few texts.
func load(t *testing.T) *lang.Languages {
	t.Helper()
	languages, err := lang.Load(fstest.MapFS{
		"messages/en.json": {Data: []byte(`{"%d files": {"one": "%d file", "other": "%d files"}}`)},
		"messages/de.json": {Data: []byte(`{"%d files": {"one": "%d Datei", "other": "%d Dateien"}, "Files of %s": "Dateien von %s"}`)},
		"messages/es.json": {Data: []byte(`{"%d files": {"one": "%d archivo", "other": "%d archivos"}}`)},
		"messages/zh.json": {Data: []byte(`{"%d files": {"other": "%d 个文件"}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return languages
}

// TestSharedMessages checks the translations of the texts of this package.
func TestSharedMessages(t *testing.T) {
	t.Parallel()
	used := langtest.Used(t, nil)
	for m := time.January; m <= time.December; m++ {
		used[m.String()] = true
	}
	langtest.Check(t, lang.Shared(), used)
}

// TestLoadReportsBadFiles checks that a missing or damaged file is an error that names the file.
func TestLoadReportsBadFiles(t *testing.T) {
	t.Parallel()
	for _, files := range []fstest.MapFS{
		{},
		{"messages/en.json": {Data: []byte("{")}},
		{"messages/en.json": {Data: []byte(`{"a": 1}`)}},
	} {
		if _, err := lang.Load(files); err == nil || !strings.Contains(err.Error(), "messages/en.json") {
			t.Errorf("Load of %v: the error is %v", files, err)
		}
	}
}

// TestOf checks which language a request gets, and when the browser remembers it.
func TestOf(t *testing.T) {
	t.Parallel()
	languages := load(t)
	for _, c := range []struct{ query, cookie, accept, want string }{
		{"", "", "", "en"}, {"", "", "fr", "en"}, {"", "", "de-AT,en;q=0.5", "de"}, {"", "", "zh-TW", "zh-Hans"},
		{"", "", strings.Repeat("de,", 1000), "en"}, {"", "", "de;q=x,,;", "en"},
		{"", "de", "es", "de"}, {"", "fr", "es", "es"}, {"?lang=zh", "de", "es", "zh-Hans"}, {"?lang=xx", "de", "es", "de"},
	} {
		r := httptest.NewRequest("GET", "/a"+c.query, nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.Header.Set("Cookie", lang.Cookie+"="+c.cookie)
		}
		if got := languages.Of(r).Tag; got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
		w := httptest.NewRecorder()
		languages.Vary(w, r, "/pub/")
		cookie := w.Header().Get("Set-Cookie")
		if known := c.query == "?lang=zh"; known != strings.HasPrefix(cookie, "spate-lang=zh; Path=/pub/; Max-Age=") || !known && cookie != "" || w.Header().Get("Vary") == "" {
			t.Errorf("%+v: the response has the headers %v", c, w.Header())
		}
	}
}

// shouted is a number with a text.
type shouted int

func (shouted) String() string { return "<b>" }

// TestFormats checks numbers, sizes and times in each language.
func TestFormats(t *testing.T) {
	t.Parallel()
	languages := load(t)
	for code, want := range map[string]string{
		"en": "1.5 GB|1.5 MB/s|1 file|12,345 files|12,345|1 MiB|20,481 bytes|2 min 5 s|4 days|2 March|2 March 2026, 14:03 UTC",
		"de": "1,5 GB|1,5 MB/s|1 Datei|12.345 Dateien|12.345|1 MiB|20.481 Byte|2 min 5 s|4 Tage|2. März|2. März 2026, 14:03 UTC",
		"es": "1,5 GB|1,5 MB/s|1 archivo|12.345 archivos|12.345|1 MiB|20.481 bytes|2 min 5 s|4 días|2 de marzo|2 de marzo de 2026, 14:03 UTC",
		"zh": "1.5 GB|1.5 MB/s|1 个文件|12,345 个文件|12,345|1 MiB|20,481 字节|2 分 5 秒|4 天|3月2日|2026年3月2日 14:03 UTC",
	} {
		l := languages.Find(code)
		day := time.Date(2026, 3, 2, 14, 3, 0, 0, time.UTC)
		got := strings.Join([]string{l.Bytes(1_500_000_000), l.Rate(1.5e6), l.T("%d files", 1), l.T("%d files", 12345), l.Count(12345), l.PieceLength(1 << 20), l.PieceLength(20481),
			l.Duration(125 * time.Second), l.Duration(100 * time.Hour), l.DayMonth(day), l.Clock(day)}, "|")
		if got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
		for _, value := range []any{"<b>", template.URL("<b>"), errors.New("<b>"), []string{"<b>"}, &struct{ Name string }{"<b>"}, shouted(1)} {
			if got := l.HTML("Files of %s", value); !strings.Contains(string(got), "&lt;b&gt;") || strings.Contains(string(got), "<") {
				t.Errorf("%s: HTML did not escape the value %#v: %s", code, value, got)
			}
		}
		if got := l.HTML("%d of %s", 1234, template.HTML("<b>x</b>")); !strings.Contains(string(got), "<b>x</b>") || !strings.Contains(string(got), "234") {
			t.Errorf("%s: HTML changed a number or markup: %s", code, got)
		}
	}
}
