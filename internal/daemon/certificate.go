package daemon

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"spate/internal/fault"
	"spate/internal/filetrust"
)

// certificate is a certificate in files. It reads the files again when they change.
type certificate struct {
	cert, key string
	env       *Env

	mu     sync.Mutex // guards the fields below
	have   *tls.Certificate
	mod    [2]time.Time // modification times of the files
	looked time.Time    // time at which mod was read
}

// maxPEM limits the size of a file with certificates or a key, in bytes.
const maxPEM = 1 << 20

// lookEvery is the minimum time between two checks of the files.
const lookEvery = 10 * time.Second

// LoadCertificate returns a TLS configuration with the certificate in the files cert and key,
// or nil if both are empty.
func (e *Env) LoadCertificate(cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	c := &certificate{cert: cert, key: key, env: e}
	if _, err := c.get(nil); err != nil {
		return nil, fault.WithHint(err, "both are files in the PEM format")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// load reads the files. It warns about their modes only when it reads them first.
func (c *certificate) load() (tls.Certificate, error) {
	warn := c.env.Warnf
	if c.have != nil {
		warn = nil
	}
	cert, err := filetrust.Read(c.cert, maxPEM, filetrust.Power, warn)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := filetrust.Read(c.key, maxPEM, filetrust.Secret, warn)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// get implements the GetCertificate of [tls.Config]. If the files cannot be read, it returns
// the previous certificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.env.Now()
	if c.have != nil && now.Sub(c.looked) < lookEvery {
		return c.have, nil
	}
	c.looked = now
	var mod [2]time.Time
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			mod[i] = info.ModTime()
		}
	}
	if c.have != nil && mod == c.mod {
		return c.have, nil
	}
	pair, err := c.load()
	switch {
	case err == nil:
		c.have, c.mod = &pair, mod
	case c.have == nil:
		return nil, err
	}
	return c.have, nil
}
