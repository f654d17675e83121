package lang

import (
	"net/http"

	"golang.org/x/text/language"
)

// Cookie is the name of the cookie that remembers the language that a visitor has chosen.
const Cookie = "spate-lang"

// cookieAge is the time for which a browser remembers a chosen language, in seconds.
const cookieAge = 365 * 24 * 3600

// maxAcceptLanguage is the maximum length of an Accept-Language header that is read, in bytes.
const maxAcceptLanguage = 500

// Of returns the language for r: that of the parameter lang, of the cookie, or the one of Accept-Language
// that fits best. Without any of them it is English.
func (l *Languages) Of(r *http.Request) *Language {
	if one := l.Find(r.URL.Query().Get("lang")); one != nil {
		return one
	}
	if c, err := r.Cookie(Cookie); err == nil {
		if one := l.Find(c.Value); one != nil {
			return one
		}
	}
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > maxAcceptLanguage {
		return l.English()
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return l.English()
	}
	_, i, _ := l.matcher.Match(tags...)
	return l.All[i]
}

// Vary tells caches that a response to r depends on the language of the visitor. If r has a language in
// its parameter lang, Vary makes the browser remember it for the addresses below path. An empty path
// stands for the directory of the requested address, as the browser sees it.
func (l *Languages) Vary(w http.ResponseWriter, r *http.Request, path string) {
	h := w.Header()
	h.Add("Vary", "Accept-Language, Cookie")
	if one := l.Find(r.URL.Query().Get("lang")); one != nil {
		c := http.Cookie{Name: Cookie, Value: one.Code, Path: path, MaxAge: cookieAge, HttpOnly: true, SameSite: http.SameSiteLaxMode}
		h.Add("Set-Cookie", c.String())
	}
}
