package webrtc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of session descriptions (RFC 8866) of other peers.
const (
	// MaxSDP is the length in bytes of the longest description that is accepted.
	MaxSDP = 16 << 10

	maxLines      = 200
	maxCandidates = 8 // candidates that are used; further ones are ignored

	// maxUfrag is the length of the longest ICE user name. RFC 8839 allows 256, but each check has it,
	// and clients choose 4 to 16.
	maxUfrag = 32
)

// SDPError is the error for a session description that cannot be used.
type SDPError struct{ Reason string }

func (e *SDPError) Error() string { return "session description: " + e.Reason }

func badSDP(reason string) error { return &SDPError{reason} }

// setup is which side begins the DTLS handshake (RFC 8842).
type setup uint8

const (
	setupNone setup = iota
	setupActpass
	setupActive
	setupPassive
)

var setups = map[string]setup{"actpass": setupActpass, "active": setupActive, "passive": setupPassive}

func (s setup) String() string { return [...]string{"", "actpass", "active", "passive"}[s] }

// description is the part of a session description that a data channel needs.
type description struct {
	ufrag, pwd  string
	fingerprint [32]byte // SHA-256 of the certificate
	setup       setup
	lite        bool
	mid         string
	sctpPort    uint16
	maxMessage  int              // length in bytes of the longest message that it takes
	candidates  []netip.AddrPort // at most maxCandidates
}

// Values of descriptions.
const (
	defaultSCTPPort   = 5000
	defaultMaxMessage = 64 << 10  // RFC 8841, 6.1
	leastMaxMessage   = 1200      // less would cost a message for every few bytes
	ourMaxMessage     = 128 << 10 // less than what SCTP holds for the reader
)

// parseSDP parses the session description of another peer. It must describe one data channel and no
// media. Lines that a data channel does not need are ignored.
func parseSDP(text string) (*description, error) {
	if len(text) > MaxSDP {
		return nil, badSDP("it is longer than 16 KiB")
	}
	d := &description{maxMessage: defaultMaxMessage}
	media, hasPrint, n := 0, false, 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		if n > maxLines {
			return nil, badSDP("it has too many lines")
		}
		line = strings.TrimSuffix(line, "\r")
		if m, ok := strings.CutPrefix(line, "m="); ok {
			f := strings.Fields(m)
			if len(f) != 4 || f[0] != "application" || !strings.HasSuffix(f[2], "DTLS/SCTP") || f[3] != "webrtc-datachannel" {
				return nil, badSDP("it describes something else than a data channel")
			}
			media++
			continue
		}
		attr, ok := strings.CutPrefix(line, "a=")
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(attr, ":")
		if name == "fingerprint" {
			ours, err := d.setFingerprint(value)
			if err != nil {
				return nil, err
			}
			hasPrint = hasPrint || ours
			continue
		}
		if err := d.set(name, value); err != nil {
			return nil, err
		}
	}
	switch {
	case media != 1:
		return nil, badSDP("it does not describe one data channel")
	case d.ufrag == "" || d.pwd == "":
		return nil, badSDP("it has no ICE user name or password")
	case !hasPrint:
		return nil, badSDP("it has no SHA-256 fingerprint")
	case d.setup == setupNone:
		return nil, badSDP("it does not say which side begins DTLS")
	case d.sctpPort == 0:
		return nil, badSDP("it has no SCTP port")
	}
	return d, nil
}

// set records an attribute.
func (d *description) set(name, value string) error {
	switch name {
	case "ice-ufrag":
		if !iceText(value, 4, maxUfrag) {
			return badSDP("the ICE user name is not valid")
		}
		d.ufrag = value
	case "ice-pwd":
		if !iceText(value, 22, 256) {
			return badSDP("the ICE password is not valid")
		}
		d.pwd = value
	case "ice-lite":
		d.lite = true
	case "setup":
		if d.setup = setups[value]; d.setup == setupNone {
			return badSDP("setup is not actpass, active or passive")
		}
	case "mid":
		if !token(value) {
			return badSDP("the mid is not valid")
		}
		d.mid = value
	case "sctp-port":
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil || port == 0 {
			return badSDP("the SCTP port is not valid")
		}
		if port != defaultSCTPPort { // package sctp sends to no other one, and all clients have it
			return badSDP("the SCTP port is not 5000")
		}
		d.sctpPort = uint16(port)
	case "max-message-size":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return badSDP("max-message-size is not valid")
		}
		if n > 0 && n < leastMaxMessage {
			return badSDP("max-message-size is too small")
		}
		if n == 0 || n > ourMaxMessage { // 0: no limit
			n = ourMaxMessage
		}
		d.maxMessage = int(n)
	case "candidate":
		if a, ok := parseCandidate(value); ok && len(d.candidates) < maxCandidates {
			d.candidates = append(d.candidates, a)
		}
	}
	return nil
}

// setFingerprint records a SHA-256 fingerprint. It returns false for one of another hash.
func (d *description) setFingerprint(value string) (bool, error) {
	hash, digits, _ := strings.Cut(value, " ")
	if !strings.EqualFold(hash, "sha-256") {
		return false, nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(b) != len(d.fingerprint) {
		return false, badSDP("the fingerprint is not valid")
	}
	copy(d.fingerprint[:], b)
	return true, nil
}

// parseCandidate returns the address of an ICE candidate (RFC 8839). It returns false for TCP,
// and for a host name, such as those of mDNS, because resolving one would tell others that this
// peer connects.
func parseCandidate(value string) (netip.AddrPort, bool) {
	f := strings.Fields(value)
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(f[4])
	port, perr := strconv.ParseUint(f[5], 10, 16)
	if err != nil || perr != nil || port == 0 || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), true
}

// iceText reports whether s is a user name or password of ICE with n to most characters.
func iceText(s string, n, most int) bool {
	if len(s) < n || len(s) > most {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '+' || r == '/' || r == '-' || r == '_')
	})
}

// token reports whether s is a short token, such as the value of mid.
func token(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// text returns the description as SDP.
func (d *description) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %s 1 IN IP4 0.0.0.0", sessionNumber(d.ufrag))
	line("s=-")
	line("t=0 0")
	line("a=group:BUNDLE %s", d.mid)
	if d.lite {
		line("a=ice-lite")
	}
	line("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")
	line("c=IN IP4 0.0.0.0")
	for i, c := range d.candidates {
		line("a=candidate:%d 1 udp %d %s %d typ host", i+1, hostPriority-uint32(i)<<8, c.Addr(), c.Port())
	}
	line("a=end-of-candidates")
	line("a=ice-ufrag:%s", d.ufrag)
	line("a=ice-pwd:%s", d.pwd)
	line("a=fingerprint:sha-256 %s", colons(d.fingerprint[:]))
	line("a=setup:%s", d.setup)
	line("a=mid:%s", d.mid)
	line("a=sctp-port:%d", d.sctpPort)
	line("a=max-message-size:%d", d.maxMessage)
	return b.String()
}

// Priorities of candidates (RFC 8445, 5.1.2.1): type preference 126 of a host candidate and 110
// of a peer-reflexive one, local preference 65535, component 1.
const (
	hostPriority  = 126<<24 | 65535<<8 | 255
	prflxPriority = 110<<24 | 65535<<8 | 255
)

// sessionNumber returns the number of a session, which only has to differ from others.
func sessionNumber(ufrag string) string {
	n := uint64(0)
	for _, c := range []byte(ufrag) {
		n = n*131 + uint64(c)
	}
	return strconv.FormatUint(n>>2, 10)
}

// colons returns bytes in hexadecimal with colons between them.
func colons(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02X", c)
	}
	return s.String()
}

var errRole = errors.New("both sides want the same part in the DTLS handshake")
