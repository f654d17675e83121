package cli

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"spate/internal/fault"
)

// certificate is a certificate in files, read again when they change.
type certificate struct {
	cert, key string
	now       func() time.Time

	mu     sync.Mutex
	have   *tls.Certificate // guarded by mu
	mod    [2]time.Time     // of the files; guarded by mu
	looked time.Time        // guarded by mu
}

// lookEvery is how often the files of a certificate are looked at.
const lookEvery = 10 * time.Second

// files returns what --tls-cert and --tls-key say, nil for neither.
func (t *tlsFlags) files(now func() time.Time) (*tls.Config, error) {
	switch {
	case t.cert == "" && t.key == "":
		return nil, nil
	case t.cert == "" || t.key == "":
		return nil, fault.Usagef("--tls-cert and --tls-key need each other")
	}
	c := &certificate{cert: t.cert, key: t.key, now: now}
	if _, err := c.get(nil); err != nil {
		return nil, fault.WithHint(err, "both are files in the PEM format")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// get is for tls.Config. What cannot be read leaves the certificate as it was.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
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
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	switch {
	case err == nil:
		c.have, c.mod = &pair, mod
	case c.have == nil:
		return nil, err
	}
	return c.have, nil
}
