package daemon

import (
	"net/http"
	"strings"
)

// withPrefix serves h with and without the path prefix, because a proxy may keep or remove the
// path of the public URL.
func withPrefix(prefix string, h http.Handler) http.Handler {
	prefix = strings.TrimRight(prefix, "/")
	if prefix == "" {
		return h
	}
	strip := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			strip.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
