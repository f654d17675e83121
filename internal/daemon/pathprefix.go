package daemon

import (
	"net/http"

	"spate/internal/weburl"
)

// withPrefix serves h with and without prefix, the decoded segments at the start of a path,
// because a proxy may keep or remove the path of the public URL.
func withPrefix(prefix []string, h http.Handler) http.Handler {
	if len(prefix) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments, err := weburl.Segments(weburl.RawPath(r.URL))
		rest, ok := weburl.CutPrefix(segments, prefix)
		switch {
		case err != nil || !ok:
			h.ServeHTTP(w, r)
		case len(rest) == 0: // without a slash at the end, relative links would lead elsewhere
			w.Header().Set("Location", weburl.Encode(prefix)+"/")
			w.WriteHeader(http.StatusPermanentRedirect)
		default:
			h.ServeHTTP(w, weburl.WithPath(r, rest))
		}
	})
}
