package daemon

import (
	"net/http"
	"slices"
	"strings"

	"spate/internal/weburl"
)

// Refusal says why a request to control the daemon is refused.
type Refusal struct {
	Why   string
	Login bool // a token is missing, which the client can send
}

// Refuse returns why the sender of r may not control the daemon, or nil. Over the network the Host
// header must be an address, localhost, or one of Hosts, which protects against web pages that make
// their own name resolve to this machine (DNS rebinding), and requests of web pages are refused. The
// token is that of Bearer, or the password of Basic with any name.
func (a *APIAccess) Refuse(r *http.Request) *Refusal {
	switch {
	case a.Token == nil:
		return nil
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return &Refusal{Why: "requests from web pages are refused"}
	case !a.knownHost(r.Host):
		return &Refusal{Why: "the Host header is neither an address nor a name of this machine"}
	}
	auth := r.Header.Get("Authorization")
	token, ok := strings.CutPrefix(auth, "Bearer ")
	if !ok {
		_, token, ok = r.BasicAuth()
	}
	if !ok || !a.Token([]byte(token)) {
		return &Refusal{Why: "a valid token is needed", Login: auth == ""}
	}
	return nil
}

// knownHost reports whether the Host header is an address or a known name.
func (a *APIAccess) knownHost(host string) bool {
	return weburl.OnlyOwn(host) || slices.Contains(a.Hosts, weburl.HeaderName(host))
}
