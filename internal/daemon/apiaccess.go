package daemon

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"spate/internal/apitoken"
	"spate/internal/weburl"
)

// APIAccess defines who may use the API and the other ways to control a daemon. The zero value is for
// the socket, which is protected by its permissions: everybody may do everything.
type APIAccess struct {
	// Token returns what the holder of a token may do, and false if the token is not valid.
	Token func(token []byte) (Access, bool)
	// TokenByID is Token for a caller that only knows the ID of the token. With it a session ends
	// when its token is revoked or expires.
	TokenByID func(id string) (Access, bool)
	Hosts     []string // names of this machine that are allowed in requests
	// Session returns what the sender of a request may do by a session of the graphical client, or
	// why the request is refused: it checks the Origin and the CSRF token too. known is false for a
	// request that names no session. The Host header is checked before. nil: there are no sessions.
	Session func(r *http.Request) (access Access, no *Refusal, known bool)
}

// Access is what the sender of a request may do.
type Access struct {
	Name    string // of the token; empty on the socket
	ID      string // of the token; empty on the socket
	Scopes  apitoken.Scopes
	Expires time.Time // zero: never
}

// Refusal says why a request to control the daemon is refused.
type Refusal struct {
	Why     string
	Hint    string          // what to do; may be empty
	Login   bool            // a token is missing, which the client can send
	Invalid bool            // the request has a token, which is not valid
	Scope   apitoken.Scopes // that the token lacks; 0: the request is refused for another reason
}

// Identify returns what the sender of r may do, or why it may do nothing. It is the one place that
// decides this for the API, the files, WebDAV and the RPC protocol. Over the network the Host header
// must be an address, localhost, or one of Hosts, which protects against web pages that make their own
// name resolve to this machine (DNS rebinding), and requests of web pages are refused unless Session
// knows them. The token is that of Bearer, or the password of Basic with any name.
func (a *APIAccess) Identify(r *http.Request) (Access, *Refusal) {
	if a.Token == nil {
		return Access{Scopes: apitoken.Admin}, nil
	}
	if !a.KnowsHost(r.Host) {
		return Access{}, &Refusal{Why: "the Host header is neither an address nor a name of this machine"}
	}
	if a.Session != nil {
		if access, no, known := a.Session(r); known {
			return access, no
		}
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return Access{}, &Refusal{Why: "requests from web pages are refused"}
	}
	auth := r.Header.Get("Authorization")
	token, ok := strings.CutPrefix(auth, "Bearer ")
	if !ok {
		_, token, ok = r.BasicAuth()
	}
	if ok {
		if access, valid := a.Token([]byte(token)); valid {
			return access, nil
		}
	}
	return Access{}, &Refusal{Why: "a valid token is needed", Login: auth == "", Invalid: auth != ""}
}

// Admit is [APIAccess.Identify] for a request that needs a scope.
func (a *APIAccess) Admit(r *http.Request, need apitoken.Scopes) (Access, *Refusal) {
	access, no := a.Identify(r)
	if no == nil {
		no = access.Need(need)
	}
	return access, no
}

// Need returns a refusal if a does not have the scope need.
func (a *Access) Need(need apitoken.Scopes) *Refusal {
	if a.Scopes.Has(need) {
		return nil
	}
	return &Refusal{Why: "the token does not have the scope " + need.String(), Hint: "spate serve token add NAME --scope " + need.String() + " makes one that has it", Scope: need}
}

// KnowsHost reports whether the Host header is an address or a known name.
func (a *APIAccess) KnowsHost(host string) bool {
	return weburl.OnlyOwn(host) || slices.Contains(a.Hosts, weburl.HeaderName(host))
}

// accessKey is the key of the [Access] in the context of a request.
type accessKey struct{}

// WithAccess returns a context with what the sender of its request may do.
func WithAccess(ctx context.Context, a Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

// AccessOf returns the Access in ctx. Without one, the sender may do nothing.
func AccessOf(ctx context.Context) Access {
	a, _ := ctx.Value(accessKey{}).(Access)
	return a
}
