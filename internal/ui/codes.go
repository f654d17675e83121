package ui

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"time"
)

// Bounds of one-time codes and of files that wait for the page.
const (
	codeLife  = time.Minute
	maxCodes  = 32 // at this number, no more are made
	offerLife = 10 * time.Minute
	maxOffers = 16
	// maxOffer limits the size of a .torrent file that is handed to the page, in bytes.
	maxOffer = 32 << 20
	// offersLimit limits the bytes of all files that wait.
	offersLimit = 64 << 20
)

// errTooMany is returned if codes or files that nobody has used fill the table.
var errTooMany = errors.New("too many links are unused: wait a minute")

// code is a one-time code.
type code struct {
	expires time.Time
	user    int // the user id whose browser may use the code; negative: any
}

// offer is a .torrent file that waits for the page.
type offer struct {
	data    []byte
	expires time.Time
}

// newCode returns a code that signs in once within a minute. user is the user id of this machine
// whose processes may use it, or negative.
func (s *Sessions) newCode(user int) (string, time.Time, error) {
	now, text := s.now(), secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if len(s.codes) >= maxCodes {
		return "", time.Time{}, errTooMany
	}
	c := code{now.Add(codeLife), user}
	s.codes[sha256.Sum256([]byte(text))] = c
	return text, c.expires, nil
}

// redeem reports whether text is a code that the sender of r may use now. The code is used up in any
// case, so that a code that another user tried signs nobody in.
func (s *Sessions) redeem(r *http.Request, text string) bool {
	now, key := s.now(), sha256.Sum256([]byte(text))
	s.mu.Lock()
	c, ok := s.codes[key]
	delete(s.codes, key)
	s.mu.Unlock()
	if !ok || !now.Before(c.expires) {
		return false
	}
	if c.user < 0 {
		return true
	}
	// Other users of this machine can read the code in the list of processes, because it is in the
	// command line of the browser.
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	local, known := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string })
	if err != nil || !known || !remote.Addr().Unmap().IsLoopback() {
		return true
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return true
	}
	uid, ok := s.owner(remote, at)
	return !ok || uid == c.user
}

// newOffer keeps a .torrent file for the page, and returns its id.
func (s *Sessions) newOffer(data []byte) (string, error) {
	now, id := s.now(), secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	total := len(data)
	for _, o := range s.offers {
		total += len(o.data)
	}
	if len(s.offers) >= maxOffers || total > offersLimit {
		return "", errTooMany
	}
	s.offers[id] = offer{data, now.Add(offerLife)}
	return id, nil
}

// offered returns the file with an id, or nil.
func (s *Sessions) offered(id string) []byte {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.offers[id]; ok && now.Before(o.expires) {
		return o.data
	}
	return nil
}
