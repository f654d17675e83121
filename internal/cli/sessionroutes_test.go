package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"spate/internal/api"
	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/fileserver"
	"spate/internal/ui"
)

// noDaemon is a backend without methods: a request that reaches one panics.
type noDaemon struct{ api.Backend }

func (noDaemon) Files() fileserver.Source { return nil }

// TestEveryRouteIsSafeFromOtherSites sends each request that docs/openapi.yaml describes, of which
// package api checks that they are all, with the cookie of a session: as a page of the client without the
// CSRF token, as a page of another site, and under the name of a stranger. Only reading requests of the
// client itself reach the daemon, so that no request without the token changes anything.
func TestEveryRouteIsSafeFromOtherSites(t *testing.T) {
	t.Parallel()
	client, err := ui.New(ui.Options{})
	if err != nil {
		t.Fatal(err)
	}
	access := daemon.APIAccess{
		Token: func(b []byte) (daemon.Access, bool) {
			return daemon.Access{Scopes: apitoken.Admin}, string(b) == "good"
		},
		TokenByID: func(string) (daemon.Access, bool) { return daemon.Access{Scopes: apitoken.Admin}, true },
		Session:   client.Sessions().Admit,
	}
	h := client.Handler(access, api.NewServer(noDaemon{}, api.ServerOptions{Access: access}))
	const host = "127.0.0.1:6970"
	// send returns the status of the answer, or 0 if the request reached the daemon.
	send := func(method, target string, header map[string]string) (status int, cookie string) {
		r := httptest.NewRequest(method, target, strings.NewReader(`{"token":"good"}`))
		r.Host = host
		for name, value := range header {
			if name == "Host" {
				r.Host = value
			}
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		func() {
			defer func() {
				if recover() != nil {
					w.Code = 0
				}
			}()
			h.ServeHTTP(w, r)
		}()
		cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
		return w.Code, cookie
	}
	own := map[string]string{"Content-Type": "application/json", "Origin": "http://" + host, "Sec-Fetch-Site": "same-origin"}
	status, cookie := send("POST", "/session", own)
	if status != 200 || cookie == "" {
		t.Fatalf("signing in: %d", status)
	}
	with := func(more ...string) map[string]string {
		header := map[string]string{"Cookie": cookie, "Content-Type": "application/json"}
		for i := 0; i < len(more); i += 2 {
			header[more[i]] = more[i+1]
		}
		return header
	}
	for _, route := range append(describedRoutes(t), "GET /dav/x", "DELETE /session", "GET /sessions", "DELETE /sessions/x", "GET /offers/x", "GET /session", "POST /links", "PUT /v1/torrents/x") {
		method, path, _ := strings.Cut(route, " ")
		target := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "x")
		reads := method == "GET"
		status, _ := send(method, target, with("Origin", "http://"+host, "Sec-Fetch-Site", "same-origin"))
		if refused := status == 401 || status == 403; refused == reads {
			t.Errorf("%s of the client without the CSRF token: %d", route, status)
		}
		for what, header := range map[string]map[string]string{
			"another site":        with("Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"),
			"a link or a picture": with("Sec-Fetch-Site", "cross-site"),
			"another port":        with("Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"),
			"nobody's page":       {"Origin": "http://" + host, "Sec-Fetch-Site": "same-origin"},
		} {
			if status, _ := send(method, target, header); status != 403 && status != 401 {
				t.Errorf("%s of %s: %d", route, what, status)
			}
		}
		if status, _ := send(method, target, with("Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin")); status != http.StatusMisdirectedRequest {
			t.Errorf("%s under the name of a stranger: %d", route, status)
		}
	}
}

// describedRoutes returns the requests in docs/openapi.yaml, as "METHOD /path".
func describedRoutes(t *testing.T) (list []string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path, method := "", regexp.MustCompile(`^    (get|post|patch|delete|put|head):$`)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "  /") {
			path = strings.TrimSuffix(strings.TrimSpace(line), ":")
		} else if m := method.FindStringSubmatch(line); m != nil {
			list = append(list, strings.ToUpper(m[1])+" "+path)
		}
	}
	if len(list) < 20 {
		t.Fatalf("found only the requests %q", list)
	}
	return list
}
