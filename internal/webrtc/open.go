package webrtc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

// dtlsMTU is the length in bytes of the longest packet of the handshake.
const dtlsMTU = 1200

var errFingerprint = errors.New("webrtc: the certificate is not that of the session description")

// establish opens the data channel when an address of the other side is known.
func (l *link) establish() {
	ctx, cancel := context.WithTimeout(l.e.ctx, OpenTime)
	defer cancel()
	s, err := l.openChannel(ctx)
	e := l.e
	e.mu.Lock()
	e.leaveHandshakeLocked(l)
	if err == nil && l.gone {
		err = errEnd
	}
	if err == nil {
		l.isOpen, l.stream = true, s
		e.open++
		l.asked = time.Now()
		if l.checks != nil {
			l.checks.Stop()
		}
	}
	e.mu.Unlock()
	if err != nil {
		if s != nil {
			s.Close()
		}
		l.end(err)
		return
	}
	e.count.opened.Add(1)
	l.opened(s)
}

// openChannel makes the DTLS handshake, the SCTP association and the data channel. Whatever it
// has opened ends with the path of the link.
func (l *link) openChannel(ctx context.Context) (*Stream, error) {
	d, err := l.dtls()
	if err != nil {
		return nil, err
	}
	if err := d.HandshakeContext(ctx); err != nil {
		d.Close()
		return nil, err
	}
	c, err := l.takeOver(d)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.ch.Opened():
	case <-ctx.Done():
		c.ch.End(ctx.Err())
	}
	if err := c.ch.Err(); err != nil {
		return nil, err
	}
	return &Stream{l: l, ch: c.ch}, nil
}

// dtls returns the DTLS connection before its handshake.
func (l *link) dtls() (*dtls.Conn, error) {
	verify := func(certs [][]byte, _ [][]*x509.Certificate) error {
		if len(certs) == 0 {
			return errFingerprint
		}
		print := sha256.Sum256(certs[0])
		if subtle.ConstantTimeCompare(print[:], l.theirs.fingerprint[:]) != 1 {
			return errFingerprint
		}
		return nil
	}
	shared := []dtls.Option{
		dtls.WithCertificates(l.e.cert), dtls.WithInsecureSkipVerify(true), dtls.WithVerifyPeerCertificate(verify),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret), dtls.WithMTU(dtlsMTU), dtls.WithLoggerFactory(quiet{}),
		// Browsers always offer SRTP, and package dtls refuses them if it has no profile for it.
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
	}
	if l.active {
		var opts []dtls.ClientOption
		for _, o := range shared {
			opts = append(opts, o)
		}
		return dtls.ClientWithOptions(l.path, Addr{}, opts...)
	}
	opts := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(true), // only who knows the password of the checks gets here
	}
	for _, o := range shared {
		opts = append(opts, o)
	}
	return dtls.ServerWithOptions(l.path, Addr{}, opts...)
}

// quiet discards the logs of pion, because other peers can cause any number of them.
type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger { return quiet{} }
func (quiet) Trace(string)                           {}
func (quiet) Tracef(string, ...any)                  {}
func (quiet) Debug(string)                           {}
func (quiet) Debugf(string, ...any)                  {}
func (quiet) Info(string)                            {}
func (quiet) Infof(string, ...any)                   {}
func (quiet) Warn(string)                            {}
func (quiet) Warnf(string, ...any)                   {}
func (quiet) Error(string)                           {}
func (quiet) Errorf(string, ...any)                  {}
