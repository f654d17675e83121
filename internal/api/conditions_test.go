package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestIfMatch checks that a change is refused if what it changes is not as the client has read it.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/torrents/a", "/v1/releases/a"} {
		f := &fake{}
		s := NewServer(f, ServerOptions{})
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		tag := w.Header().Get("ETag")
		for match, ok := range map[string]bool{"": true, "*": true, tag: true, `"x", ` + tag: true, `"x"`: false, "W/" + tag: false, "x": false} {
			f.did = nil
			r := httptest.NewRequest("PATCH", path, strings.NewReader(`{"paused":true}`))
			r.Header.Set("Content-Type", "application/json")
			if match != "" {
				r.Header.Set("If-Match", match)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if (len(f.did) == 1) != ok {
				t.Errorf("%s with If-Match %s: %d %s, did %q", path, match, w.Code, w.Body, f.did)
			}
			if !ok {
				checkProblem(t, w, 412, Changed)
			}
		}
	}
}

// TestPages checks the pages of a list, and that their links lead through all of it.
func TestPages(t *testing.T) {
	t.Parallel()
	s := NewServer(&fake{}, ServerOptions{})
	get := func(path string) (n int, links string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return strings.Count(w.Body.String(), `"code":`), w.Header().Get("Link")
	}
	all := len(problems)
	for path, want := range map[string]struct {
		n     int
		links string
	}{
		"/v1/errors":                   {all, ""},
		"/v1/errors?offset=2":          {all - 2, ""},
		"/v1/errors?limit=1000":        {all, ""},
		"/v1/errors?limit=5":           {5, `</v1/errors?limit=5&offset=5>; rel="next", </v1/errors?limit=5&offset=15>; rel="last"`},
		"/v1/errors?limit=5&offset=5":  {5, `</v1/errors?limit=5&offset=0>; rel="first", </v1/errors?limit=5&offset=0>; rel="prev", </v1/errors?limit=5&offset=10>; rel="next", </v1/errors?limit=5&offset=15>; rel="last"`},
		"/v1/errors?limit=5&offset=15": {all - 15, `</v1/errors?limit=5&offset=0>; rel="first", </v1/errors?limit=5&offset=10>; rel="prev"`},
		"/v1/errors?limit=9223372036854775807&offset=9223372036854775807": {0, `</v1/errors?limit=9223372036854775807&offset=0>; rel="first", </v1/errors?limit=9223372036854775807&offset=0>; rel="prev"`},
		"/v1/errors?limit=16&q=a%26b":                                     {16, `</v1/errors?limit=16&offset=16&q=a%26b>; rel="next", </v1/errors?limit=16&offset=16&q=a%26b>; rel="last"`},
	} {
		if n, links := get(path); n != want.n || links != want.links {
			t.Errorf("%s has %d elements and the links %s, want %d, %s", path, n, links, want.n, want.links)
		}
	}
	if n, _ := get("/v1/torrents/a/peers?limit=1"); n != 0 {
		t.Error("peers are no codes")
	}
	for _, path := range []string{"/v1/errors?limit=x", "/v1/torrents/a/peers?offset=-1", "/v1/releases/a/peers?limit=1e3", "/v1/torrents?limit=99999999999999999999"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		checkProblem(t, w, 400, BadRequest)
	}
}
