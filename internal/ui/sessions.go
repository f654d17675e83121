package ui

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// Bounds of the sessions.
const (
	maxSessions = 64                 // at this number, the session that was unused longest ends
	idleLimit   = 24 * time.Hour     // a session ends after this time without a request
	lifeLimit   = 7 * 24 * time.Hour // a session ends after this time in any case
	maxAgent    = 256                // bytes of the User-Agent that are kept
	maxCookies  = 8                  // cookies of one request that are looked at
)

// Sessions holds the browsers that are signed in, and the one-time codes that sign in. It keeps them
// in memory only, so that a restart of the daemon signs everybody out. It keeps hashes of the
// cookies and of the codes. Its methods are safe for concurrent use.
type Sessions struct {
	now   func() time.Time
	owner func(remote, local netip.AddrPort) (uid int, ok bool)

	mu       sync.Mutex
	by       map[[sha256.Size]byte]*session // by the hash of the cookie
	codes    map[[sha256.Size]byte]code     // by the hash of the code
	offers   map[string]offer
	attempts attempts
}

// session is a browser that is signed in.
type session struct {
	id      string // names the session in lists; it is no secret
	csrf    string
	grant   func() (daemon.Access, bool) // what the session may do now; false after its token was revoked
	created time.Time
	used    time.Time
	address netip.Addr
	agent   string
}

// expires returns when the session ends if no request comes.
func (s *session) expires() time.Time {
	end, idle := s.created.Add(lifeLimit), s.used.Add(idleLimit)
	if idle.Before(end) {
		return idle
	}
	return end
}

// newSessions returns an empty table. now is the clock.
func newSessions(now func() time.Time) *Sessions {
	return &Sessions{now: now, owner: ownerOf, by: map[[sha256.Size]byte]*session{}, codes: map[[sha256.Size]byte]code{}, offers: map[string]offer{}}
}

// secret returns a random text of 128 bits, which is safe in URLs and cookies.
func secret() string {
	var raw [16]byte
	rand.Read(raw[:]) // crypto/rand.Read never returns an error
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// begin makes a session for the browser that sent r, and ends the one that it had. It returns the
// value of the cookie.
func (s *Sessions) begin(r *http.Request, grant func() (daemon.Access, bool)) (*session, string) {
	var raw [8]byte
	rand.Read(raw[:])
	cookie, now := secret(), s.now()
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	n := &session{id: hex.EncodeToString(raw[:]), csrf: secret(), grant: grant, created: now, used: now, address: addressOf(r), agent: agent}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	for _, key := range cookieKeys(r) {
		delete(s.by, key)
	}
	for len(s.by) >= maxSessions {
		var oldest [sha256.Size]byte
		var at time.Time
		for key, old := range s.by {
			if at.IsZero() || old.used.Before(at) {
				oldest, at = key, old.used
			}
		}
		delete(s.by, oldest)
	}
	s.by[sha256.Sum256([]byte(cookie))] = n
	return n, cookie
}

// sweep removes the sessions, codes and offers whose time has passed. s.mu is held.
func (s *Sessions) sweep(now time.Time) {
	for key, one := range s.by {
		if !now.Before(one.expires()) {
			delete(s.by, key)
		}
	}
	for key, c := range s.codes {
		if !now.Before(c.expires) {
			delete(s.codes, key)
		}
	}
	for id, o := range s.offers {
		if !now.Before(o.expires) {
			delete(s.offers, id)
		}
	}
}

// cookieName returns the name of the cookie for a request to host. Browsers send the cookies of a
// host to each of its ports, so that the name contains the port: two daemons of one machine do not
// replace each other's cookies.
func cookieName(host string) string {
	name := "spate_session"
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if port := host[i+1:]; port != "" && strings.Trim(port, "0123456789") == "" {
			name += "_" + port
		}
	}
	return name
}

// cookieKeys returns the keys that the cookies of r have in the table.
func cookieKeys(r *http.Request) (keys [][sha256.Size]byte) {
	for _, c := range r.CookiesNamed(cookieName(r.Host)) {
		if len(keys) == maxCookies {
			break
		}
		keys = append(keys, sha256.Sum256([]byte(c.Value)))
	}
	return keys
}

// find returns the session of r and what it may do, or nil. It counts as a use of the session.
func (s *Sessions) find(r *http.Request) (*session, daemon.Access) {
	keys := cookieKeys(r)
	if len(keys) == 0 {
		return nil, daemon.Access{}
	}
	one, key := s.touch(keys)
	if one == nil {
		return nil, daemon.Access{}
	}
	g, ok := one.grant() // it may read the file of tokens, so that no lock is held
	if !ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.by, key)
		return nil, daemon.Access{}
	}
	return one, g
}

// touch returns the first session with one of keys, and records its use.
func (s *Sessions) touch(keys [][sha256.Size]byte) (*session, [sha256.Size]byte) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if one := s.by[key]; one != nil && now.Before(one.expires()) {
			one.used = now
			return one, key
		}
	}
	return nil, [sha256.Size]byte{}
}

// hasCSRF reports whether r contains the token against cross-site requests of the session.
func (s *session) hasCSRF(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(s.csrf)) == 1
}

// Info describes a session: GET /sessions.
type Info struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`    // of the token, or "spate open"
	Address string    `json:"address"` // from which it began
	Agent   string    `json:"agent"`   // the browser, as it calls itself
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires"`
	Current bool      `json:"current"` // whether the request belongs to it
}

// list describes the sessions that may see a holder of g, the newest first: all of them for an
// administrator, and those with the same name for others.
func (s *Sessions) list(current *session, g daemon.Access) []Info {
	now := s.now()
	s.mu.Lock()
	s.sweep(now)
	copies := make([]session, 0, len(s.by))
	for _, one := range s.by {
		copies = append(copies, *one)
	}
	s.mu.Unlock()
	out := []Info{}
	for _, one := range copies {
		theirs, ok := one.grant()
		if !ok || !mayManage(g, theirs) {
			continue
		}
		out = append(out, Info{one.id, theirs.Name, one.address.String(), one.agent, one.created.UTC(), one.used.UTC(), one.expires().UTC(), one.id == current.id})
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	return out
}

// mayManage reports whether a session with the grant g may see and end one with the grant theirs.
func mayManage(g, theirs daemon.Access) bool {
	return g.Scopes.Has(apitoken.Admin) || g.Name == theirs.Name
}

// end ends the session with an id, if a holder of g may do that. It reports whether there was one.
func (s *Sessions) end(id string, g daemon.Access) bool {
	s.mu.Lock()
	var key [sha256.Size]byte
	var found *session
	for k, one := range s.by {
		if one.id == id {
			key, found = k, one
		}
	}
	s.mu.Unlock()
	if found == nil {
		return false
	}
	if theirs, ok := found.grant(); ok && !mayManage(g, theirs) { // without the lock, because it may read a file
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, key)
	return true
}

// addressOf returns the address that sent r.
func addressOf(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap().WithZone("")
}

// expiry returns when one ends.
func (s *Sessions) expiry(one *session) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.expires()
}

// attempt counts an attempt to sign in, or returns the time to wait before the next one.
func (s *Sessions) attempt(r *http.Request) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts.take(addressOf(r), s.now())
}

// succeeded takes back what attempt has counted.
func (s *Sessions) succeeded(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts.succeeded(addressOf(r))
}
