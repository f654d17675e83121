package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spate/internal/weburl"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// testAuthority issues certificates for six days without asking for a proof.
type testAuthority struct {
	key    *ecdsa.PrivateKey
	root   *x509.Certificate
	past   time.Duration // the age of the certificates
	issued chan []net.IP // the addresses of each certificate
	err    error
}

func newTestAuthority(t *testing.T) *testAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * 365 * time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testAuthority{key: key, root: root, issued: make(chan []net.IP, 100)}
}

// Issue implements [certmagic.Issuer].
func (a *testAuthority) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if a.err != nil {
		return nil, a.err
	}
	begin := time.Now().Add(-a.past - time.Minute)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: begin, NotAfter: begin.Add(6 * 24 * time.Hour), IPAddresses: csr.IPAddresses, DNSNames: csr.DNSNames}
	der, err := x509.CreateCertificate(rand.Reader, c, a.root, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	a.issued <- csr.IPAddresses
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// IssuerKey implements [certmagic.Issuer].
func (a *testAuthority) IssuerKey() string { return "test" }

// testHTTPS is HTTPS at an address that a test sets.
type testHTTPS struct {
	*addressHTTPS
	addr atomic.Pointer[netip.AddrPort]

	mu    sync.Mutex
	words []string // notes and warnings
	said  chan struct{}
}

// startHTTPS runs HTTPS at addr with certificates of a, which ca names, until the test or stop ends it.
func startHTTPS(t *testing.T, a *testAuthority, state certmagic.Storage, ca, addr string) (h *testHTTPS, stop func()) {
	t.Helper()
	h = &testHTTPS{said: make(chan struct{}, 100)}
	env := testEnv()
	say := func(format string, args ...any) {
		h.mu.Lock()
		h.words = append(h.words, fmt.Sprintf(format, args...))
		h.mu.Unlock()
		h.said <- struct{}{}
	}
	env.Notef, env.Warnf = say, say
	var err error
	if h.addressHTTPS, err = env.openAddressHTTPS(&HTTPSConfig{Address: "127.0.0.1:0", Redirect: "127.0.0.1:0", CA: ca}, t.TempDir(), false); err != nil {
		t.Fatal(err)
	}
	h.move(addr)
	h.at = func() netip.AddrPort { return *h.addr.Load() }
	h.base = func() *url.URL { return weburl.FromAddr("http", netip.AddrPortFrom(h.at().Addr(), 6969)) }
	h.ca.config.Storage = state
	h.ca.config.Issuers = []certmagic.Issuer{a}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	l := tls.NewListener(h.listener, h.tls())
	go func() { // completes the handshakes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				c.(*tls.Conn).Handshake()
				c.Close()
			}()
		}
	}()
	go func() {
		defer close(ended)
		h.run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		h.close()
	})
	t.Cleanup(stop)
	return h, stop
}

// move changes the address.
func (h *testHTTPS) move(addr string) {
	at := netip.AddrPortFrom(netip.MustParseAddr(addr), 443)
	h.addr.Store(&at)
	h.look()
}

// until waits until a note or warning contains text.
func (h *testHTTPS) until(t *testing.T, text string) {
	t.Helper()
	for {
		h.mu.Lock()
		all := strings.Join(h.words, "\n")
		h.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-h.said:
		case <-time.After(2 * time.Minute):
			t.Fatalf("nothing says %q:\n%s", text, all)
		}
	}
}

// certified returns the addresses of the certificate that a client gets, which sends no name.
func (h *testHTTPS) certified(t *testing.T, a *testAuthority) string {
	t.Helper()
	c, err := tls.Dial("tcp", h.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	leaf := c.ConnectionState().PeerCertificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		t.Errorf("the certificate: %v", err)
	}
	return fmt.Sprint(leaf.IPAddresses)
}

// TestAddressCertificate checks that clients that send no name get the certificate of the address, that
// a new address gets a certificate of its own, and that links and the redirect follow.
func TestAddressCertificate(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t)
	h, _ := startHTTPS(t, a, &memoryStorage{}, "https://ca.example/directory", "203.0.113.5")
	h.await(t.Context(), 2*time.Minute)
	for _, addr := range []string{"203.0.113.5", "2001:db8::7"} {
		h.move(addr)
		site := weburl.FromAddr("https", netip.AddrPortFrom(netip.MustParseAddr(addr), 443)).String()
		h.until(t, "the site is at "+site+" too")
		if got := h.certified(t, a); got != "["+addr+"]" {
			t.Errorf("at %s a client gets a certificate for %s", addr, got)
		}
		if u := h.url(); u == nil || u.String() != site {
			t.Errorf("links contain %v, want %s", u, site)
		}
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, httptest.NewRequest("GET", "/r/a?x=1", nil))
		if got := w.Header().Get("Location"); w.Code != http.StatusTemporaryRedirect || got != strings.TrimSuffix(site, "/")+"/r/a?x=1" {
			t.Errorf("plain HTTP at %s leads with %d to %s", addr, w.Code, got)
		}
	}
}

// TestAddressCertificateKept checks that a restart uses the stored certificate, and that a certificate
// after two thirds of its six days is renewed.
func TestAddressCertificateKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		past time.Duration
		want int // certificates in all
	}{"new": {0, 1}, "old": {5 * 24 * time.Hour, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, state := newTestAuthority(t), &memoryStorage{}
			a.past = c.past
			h, stop := startHTTPS(t, a, state, "https://ca.example/directory", "203.0.113.5")
			h.until(t, "the site is at")
			<-a.issued
			stop()
			a.past = 0
			h, _ = startHTTPS(t, a, state, "https://ca.example/directory", "203.0.113.5")
			h.until(t, "the site is at")
			if c.want == 2 {
				<-a.issued // while the server goes on with the old one
			}
			if got := h.certified(t, a); got != "[203.0.113.5]" {
				t.Errorf("after a restart a client gets %s", got)
			}
			if n := len(a.issued); n != 0 {
				t.Errorf("%d more certificates were issued", n)
			}
		})
	}
}

// TestAddressCertificateRefused checks the words about a certificate that does not come, and that
// nothing waits for it.
func TestAddressCertificateRefused(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t)
	a.err = acme.Problem{Type: acme.ProblemTypeConnection, Detail: "203.0.113.5: connection refused"}
	h, _ := startHTTPS(t, a, &memoryStorage{}, "https://ca.example/directory", "203.0.113.5")
	h.await(t.Context(), 2*time.Minute)
	h.until(t, "no certificate for 203.0.113.5 yet: the authority does not reach spate there on port 443 or 80")
	h.until(t, "open these ports in the firewall")
	if h.url() != nil {
		t.Error("links contain https without a certificate")
	}
	w := httptest.NewRecorder()
	h.handler().ServeHTTP(w, httptest.NewRequest("GET", "/r/a", nil))
	if got := w.Header().Get("Location"); got != "http://203.0.113.5:6969/r/a" {
		t.Errorf("without a certificate, plain HTTP leads to %s", got)
	}

	public := newTestAuthority(t)
	h, _ = startHTTPS(t, public, &memoryStorage{}, "", "192.168.1.5")
	h.await(t.Context(), 2*time.Minute)
	h.until(t, "--https needs a public address, and 192.168.1.5 is one of a private network")
	if len(public.issued) != 0 {
		t.Error("a certificate for a private address was requested of a public authority")
	}
}

// TestRefusalInWords checks that each kind of refusal is said in words that name what helps.
func TestRefusalInWords(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("203.0.113.5")
	for kind, want := range map[string]string{
		"connection": "port 443 or 80", "unauthorized": "port 443 or 80", "rejectedIdentifier": "issues none for this address",
		"unsupportedIdentifier": "issues none for this address", "invalidProfile": "no short-lived certificates",
		"rateLimited": "too many requests", "serverInternal": "the authority refused",
	} {
		what, advice := explainRefusal(addr, fmt.Errorf("obtaining: %w", acme.Problem{Type: "urn:ietf:params:acme:error:" + kind, Detail: "detail"}))
		if !strings.Contains(what, want) || !strings.Contains(what, "detail") || advice == "" {
			t.Errorf("%s: %q, %q", kind, what, advice)
		}
	}
	if what, _ := explainRefusal(addr, errors.New("no route")); !strings.Contains(what, "did not answer as expected: no route") {
		t.Error(what)
	}
}
