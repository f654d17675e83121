package site

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"reflect"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"

	"spate/internal/units"
)

// messageFiles are the texts of the pages in each language. A message is an object member: its name is the
// English text, with the placeholders of package fmt, and its value is the translation. If the text
// depends on the number that is the first placeholder, the value is an object with a text for each plural
// form of the language ("one", "other"). en.json contains only such messages.
//
//go:embed messages
var messageFiles embed.FS

// locale is a language of the pages. It is safe for concurrent use.
type locale struct {
	code    string // in addresses and in the cookie, such as "zh"
	tag     string // for lang attributes (BCP 47), such as "zh-Hans"
	name    string // in the language itself
	decimal string // separates the fraction of a number
	printer *message.Printer
}

// locales are the languages of the pages. The first one is English, the default.
type locales struct {
	list    []*locale
	matcher language.Matcher
}

// loadLocales reads the messages of all languages.
func loadLocales() (locales, error) {
	l := locales{list: []*locale{
		{code: "en", tag: "en", name: "English", decimal: "."},
		{code: "de", tag: "de", name: "Deutsch", decimal: ","},
		{code: "es", tag: "es", name: "Español", decimal: ","},
		{code: "zh", tag: "zh-Hans", name: "简体中文", decimal: "."},
	}}
	texts := catalog.NewBuilder(catalog.Fallback(language.English))
	var tags []language.Tag
	for _, one := range l.list {
		tag := language.Make(one.tag)
		if err := addMessages(texts, tag, "messages/"+one.code+".json"); err != nil {
			return l, err
		}
		one.printer = message.NewPrinter(tag, message.Catalog(texts))
		tags = append(tags, tag)
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

// addMessages adds the messages in a file to texts.
func addMessages(texts *catalog.Builder, tag language.Tag, file string) error {
	data, err := messageFiles.ReadFile(file)
	if err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for key, value := range all {
		var text string
		var forms struct{ One, Other string }
		if json.Unmarshal(value, &text) == nil {
			err = texts.SetString(tag, key, text)
		} else if err = json.Unmarshal(value, &forms); err == nil {
			cases := []any{"other", forms.Other}
			if forms.One != "" {
				cases = append([]any{"one", forms.One}, cases...)
			}
			err = texts.Set(tag, key, plural.Selectf(1, "%d", cases...))
		}
		if err != nil {
			return fmt.Errorf("%s: %q: %w", file, key, err)
		}
	}
	return nil
}

// find returns the language with the code, or nil.
func (l locales) find(code string) *locale {
	for _, one := range l.list {
		if one.code == code {
			return one
		}
	}
	return nil
}

// langCookie is the name of the cookie that remembers the language that a visitor has chosen.
const langCookie = "spate-lang"

// maxAcceptLanguage is the maximum length of an Accept-Language header that the site reads, in bytes.
const maxAcceptLanguage = 500

// of returns the language for r: that of the parameter lang, of the cookie, or the one of Accept-Language
// that fits best.
func (l locales) of(r *http.Request) *locale {
	if one := l.find(r.URL.Query().Get("lang")); one != nil {
		return one
	}
	if c, err := r.Cookie(langCookie); err == nil {
		if one := l.find(c.Value); one != nil {
			return one
		}
	}
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > maxAcceptLanguage {
		return l.list[0]
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return l.list[0]
	}
	_, i, _ := l.matcher.Match(tags...)
	return l.list[i]
}

// english reports whether l is the default language.
func (l *locale) english() bool { return l.code == "en" }

// t returns the message with the English text key in the language, with args in the placeholders. If it
// has no translation, t uses key.
func (l *locale) t(key string, args ...any) string { return l.printer.Sprintf(key, args...) }

// th is t for HTML. It escapes all args except numbers and [template.HTML]. Messages contain no characters
// that are special in HTML.
func (l *locale) th(key string, args ...any) template.HTML {
	safe := make([]any, len(args))
	for i, a := range args {
		_, markup := a.(template.HTML)
		switch v := reflect.ValueOf(a); {
		case markup || (v.CanInt() || v.CanUint() || v.CanFloat()) && v.NumMethod() == 0:
			safe[i] = a
		default:
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	return template.HTML(l.printer.Sprintf(key, safe...))
}

// number replaces the decimal point in a text that package units has made.
func (l *locale) number(text string) string { return strings.Replace(text, ".", l.decimal, 1) }

// bytes formats a number of bytes: "1.5 GB".
func (l *locale) bytes(n int64) string { return l.number(units.Bytes(n)) }

// rate formats a number of bytes per second: "1.5 MB/s".
func (l *locale) rate(bytesPerSecond float64) string { return l.number(units.Rate(bytesPerSecond)) }

// pieceLength formats the length of a piece: "1 MiB".
func (l *locale) pieceLength(n int64) string {
	text := units.PieceLength(n)
	if strings.HasSuffix(text, " bytes") {
		return l.t("%d bytes", n)
	}
	return l.number(text)
}

// duration formats d for running text, as [units.LongDuration] does.
func (l *locale) duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return l.t("%d s", int(d/time.Second))
	case d < time.Hour:
		return l.t("%d min %d s", int(d/time.Minute), int(d%time.Minute/time.Second))
	case d < 48*time.Hour:
		return l.t("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return l.t("%d days", int(d/(24*time.Hour)))
}

// date formats the day of t in UTC: "2 January 2006".
func (l *locale) date(t time.Time) string {
	t = t.UTC()
	return l.t("date: day %s, month %s, year %s", t.Format("2"), l.t(t.Month().String()), t.Format("2006"))
}

// dayMonth formats the day of t in UTC without the year: "2 January".
func (l *locale) dayMonth(t time.Time) string {
	t = t.UTC()
	return l.t("date: day %s, month %s", t.Format("2"), l.t(t.Month().String()))
}

// clock formats the minute of t in UTC: "2 January 2006, 15:04 UTC".
func (l *locale) clock(t time.Time) string {
	return l.t("%s, %s UTC", l.date(t), t.UTC().Format("15:04"))
}

// local is a site in the language of a request.
type local struct {
	*Site
	*locale
}

// in returns the site in the language of r.
func (s *Site) in(r *http.Request) local { return local{s, s.locales.of(r)} }

// path is [Site.path]. In an export the pages of a language link to each other.
func (s local) path(encoded string) string { return s.prefix + s.visits.link(s.locale, encoded) }

// address returns the absolute URL of the page at an encoded path, which may have a query, on the site at
// base, in the language.
func (s local) address(base, encoded string) string {
	switch {
	case s.visits != nil:
		return base + s.visits.link(s.locale, encoded) // the one page that the export has
	case s.english():
		return base + encoded
	}
	separator := "?"
	if strings.Contains(encoded, "?") {
		separator = "&"
	}
	return base + encoded + separator + "lang=" + s.code
}

// languageLink is a link to a page in another language.
type languageLink struct {
	Name, Tag, Link string
	Here            bool // whether it is the language of the page
}

// languageLinks returns links to the page that r requests in all languages.
func (s local) languageLinks(r *http.Request) []languageLink {
	var links []languageLink
	for _, l := range s.locales.list {
		q := r.URL.Query()
		q.Del("lang")
		if s.visits == nil {
			q.Set("lang", l.code)
		}
		link := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/") // never another host
		if len(q) > 0 {
			link += "?" + q.Encode()
		}
		link = local{s.Site, l}.path(link)
		links = append(links, languageLink{l.name, l.tag, link, l == s.locale})
	}
	return links
}

// vary tells caches that a page depends on the language of the visitor, and remembers a language that
// the visitor has chosen.
func (s *Site) vary(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Accept-Language, Cookie")
	if l := s.locales.find(r.URL.Query().Get("lang")); l != nil {
		c := http.Cookie{Name: langCookie, Value: l.code, Path: s.prefix + "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
		h.Add("Set-Cookie", c.String())
	}
}
