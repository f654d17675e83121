package daemon

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// writeCertificate writes a certificate and its key, with the given time of modification.
func writeCertificate(t *testing.T, cert, key string, modified time.Time) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFileAt(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), modified)
	writeFileAt(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), modified)
}

// writeFileAt writes a file with the given time of modification.
func writeFileAt(t *testing.T, path string, b []byte, modified time.Time) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateRenewed checks that a certificate whose files change is read again, and that
// the previous one stays in use while the files are broken.
func TestCertificateRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	env := testEnv()
	env.Now = func() time.Time { return now }
	env.Warnf = func(format string, args ...any) { t.Errorf(format, args...) }
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := env.LoadCertificate(cert, key); err == nil {
		t.Error("missing files are no error")
	}
	writeCertificate(t, cert, key, now)
	c, err := env.LoadCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	writeFileAt(t, cert, []byte("torn"), now)
	if got, err := c.GetCertificate(nil); err != nil || got != first {
		t.Errorf("with a broken file the previous certificate is not used: %v", err)
	}
	now = now.Add(time.Minute)
	writeCertificate(t, cert, key, now)
	if got, err := c.GetCertificate(nil); err != nil || got == first {
		t.Errorf("a new certificate is not used: %v", err)
	}
}

// TestDamagedStoredCertificate checks that a stored certificate of an authority that is damaged is set
// aside and reported, and that the server starts.
func TestDamagedStoredCertificate(t *testing.T) {
	t.Parallel()
	const ca, domain = "http://127.0.0.1:1/directory", "site.example"
	cache := certmagic.NewCache(certmagic.CacheOptions{GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return nil, nil }})
	t.Cleanup(cache.Stop)
	issuer := certmagic.NewACMEIssuer(certmagic.New(cache, certmagic.Config{}), certmagic.ACMEIssuer{CA: ca}).IssuerKey()
	for name, content := range map[string][]byte{"empty": nil, "zeros": make([]byte, 500), "garbage": []byte("garbage")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			for _, key := range []string{
				certmagic.StorageKeys.SiteCert(issuer, domain), certmagic.StorageKeys.SitePrivateKey(issuer, domain), certmagic.StorageKeys.SiteMeta(issuer, domain),
			} {
				path := filepath.Join(state, "certificates", filepath.FromSlash(key))
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			env := testEnv()
			var warnings []string
			env.Warnf = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
			for range 2 {
				s, err := env.openACME(&HTTPSConfig{Domain: domain, CA: ca}, state, netip.MustParseAddrPort("127.0.0.1:0"))
				if err != nil {
					t.Fatal(err)
				}
				s.close()
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], "is damaged") {
				t.Errorf("the warnings are %q, want one", warnings)
			}
			site := filepath.Join(state, "certificates", filepath.FromSlash(certmagic.StorageKeys.CertsSitePrefix(issuer, domain)))
			if _, err := os.Stat(site + ".damaged"); err != nil {
				t.Error(err)
			}
		})
	}
}
