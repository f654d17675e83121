package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/folder"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// authority gets certificates from an ACME authority (RFC 8555) and renews them. certmagic stores them in
// the state directory.
type authority struct {
	env    *Env
	store  string           // directory of the certificates
	cache  *certmagic.Cache // its Stop ends the renewals
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// newACME returns the certificates of the authority that t names. template has the challenges. onEvent
// is called for events of certmagic.
func (e *Env) newACME(t *HTTPSConfig, state string, template certmagic.ACMEIssuer, onEvent func(context.Context, string, map[string]any) error) (*authority, error) {
	silent := zap.NewNop() // onEvent logs the important events
	template.CA, template.Email, template.Agreed, template.Logger = t.CA, t.Email, true, silent
	template.HTTPProxy = e.Out.ForRequest
	if template.CA == "" {
		template.CA = certmagic.LetsEncryptProductionCA
	}
	if t.CARoots != "" {
		pem, err := filetrust.Read(t.CARoots, maxPEM, filetrust.Power, e.Warnf)
		if err != nil {
			return nil, err
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(pem) {
			return nil, fault.Usagef("%s has no certificates in the PEM format", t.CARoots)
		}
	}
	a := &authority{env: e, store: filepath.Join(state, "certificates")}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		Logger:           silent,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: a.store},
		OCSP:    certmagic.OCSPConfig{HTTPProxy: e.Out.ForRequest},
		Logger:  silent, OnEvent: onEvent,
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, template)
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

// tls returns the configuration of a listener that serves the certificates.
func (a *authority) tls() *tls.Config {
	c := a.config.TLSConfig()
	c.NextProtos = append([]string{"h2", "http/1.1"}, c.NextProtos...)
	return c
}

// checkStored sets aside the stored certificate of a domain or an address if it is damaged, and warns. certmagic would
// never replace it. A missing one is no damage.
func (a *authority) checkStored(domain string) error {
	store, issuer, keys := a.store, a.issuer.IssuerKey(), certmagic.StorageKeys
	var files [3][]byte
	var damage error
	for i, key := range []string{keys.SiteCert(issuer, domain), keys.SitePrivateKey(issuer, domain), keys.SiteMeta(issuer, domain)} {
		var err error
		if files[i], err = folder.ReadNamed(filepath.Join(store, filepath.FromSlash(key)), maxPEM); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			damage = err
		}
	}
	if damage == nil {
		_, damage = tls.X509KeyPair(files[0], files[1])
	}
	if damage == nil && !json.Valid(files[2]) {
		damage = errors.New("its description is not JSON")
	}
	if damage == nil {
		return nil
	}
	aside, err := atomicfile.SetAside(filepath.Join(store, filepath.FromSlash(keys.CertsSitePrefix(issuer, domain))))
	if err != nil {
		return fmt.Errorf("the stored certificate of %s is damaged (%w), and cannot be moved away: %w", domain, damage, err)
	}
	a.env.Warnf("the stored certificate of %s is damaged (%v): it was moved to %s, and a new one is requested", domain, damage, aside)
	return nil
}
