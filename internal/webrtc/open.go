package webrtc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/sctp"
)

// Sizes of packets in bytes. A SCTP packet of sctpMTU makes a UDP packet of less than 1,280 bytes,
// which every IPv6 network carries.
const (
	dtlsMTU    = 1200
	sctpMTU    = 1192
	maxEntries = 4096      // packets that wait in a stream, which hold more memory than their bytes; beyond it the connection ends
	maxReceive = 256 << 10 // bytes that arrived and were not read; the other side waits beyond it
)

// Messages that open a data channel (RFC 8832).
const (
	dcepAck  = 2
	dcepOpen = 3

	dcepOpenLen  = 12
	dcepReliable = 0 // ordered and reliable
)

var (
	errFingerprint = errors.New("webrtc: the certificate is not that of the session description")
	errChannel     = errors.New("webrtc: the other side opened no ordered, reliable data channel")
)

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
	r, err := l.takeOver(d)
	if err != nil {
		return nil, err
	}
	a, err := sctp.ClientContext(ctx,
		sctp.WithNetConn(r), sctp.WithLoggerFactory(quiet{}), sctp.WithMTU(sctpMTU), sctp.WithBlockWrite(true),
		sctp.WithMaxMessageSize(uint32(min(maxWrite, l.theirs.maxMessage))), sctp.WithMaxReceiveBufferSize(maxReceive),
		sctp.WithMaxReassemblyQueueEntries(maxEntries),
		sctp.WithEnableZeroChecksum(true), // DTLS protects the packets
	)
	if err != nil {
		r.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { l.path.end(ctx.Err()) })
	defer stop()
	open := l.acceptChannel
	if l.offered {
		open = l.dialChannel
	}
	s, err := open(a)
	if err != nil {
		a.Close()
		return nil, err
	}
	return s, nil
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

// dialChannel opens the data channel.
func (l *link) dialChannel(a *sctp.Association) (*Stream, error) {
	id := uint16(1)
	if l.active {
		id = 0 // the DTLS client has the even numbers
	}
	s, err := a.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return nil, err
	}
	if _, err := s.WriteSCTP(channelOpen(), sctp.PayloadTypeWebRTCDCEP); err != nil {
		return nil, err
	}
	return newStream(l, a, s), nil
}

// channelOpen returns a message that opens a channel without a label.
func channelOpen() []byte {
	b := make([]byte, dcepOpenLen)
	b[0], b[1] = dcepOpen, dcepReliable
	return b
}

// acceptChannel waits until the other side has opened the data channel.
func (l *link) acceptChannel(a *sctp.Association) (*Stream, error) {
	s, err := a.AcceptStream()
	if err != nil {
		return nil, err
	}
	s.SetDefaultPayloadType(sctp.PayloadTypeWebRTCBinary)
	var b [maxPacket]byte
	n, kind, err := s.ReadSCTP(b[:])
	switch {
	case err != nil:
		return nil, err
	case kind != sctp.PayloadTypeWebRTCDCEP || n < dcepOpenLen || b[0] != dcepOpen || b[1] != dcepReliable,
		int(binary.BigEndian.Uint16(b[8:]))+int(binary.BigEndian.Uint16(b[10:])) != n-dcepOpenLen:
		return nil, errChannel
	}
	if _, err := s.WriteSCTP([]byte{dcepAck}, sctp.PayloadTypeWebRTCDCEP); err != nil {
		return nil, err
	}
	return newStream(l, a, s), nil
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
