package udpmux

// Kind is the protocol of a packet.
type Kind uint8

// The kinds of packets. Packets of the other kinds have receivers that [Mux.Receive] sets.
const (
	Unknown Kind = iota // no protocol of this port
	DHT                 // BEP 5
	UTP                 // BEP 29
	WebRTC              // checks of ICE (RFC 8445) and DTLS 1.2 (RFC 6347)
	STUN                // a request for the own address without a user name (RFC 8489)
	tracker             // a reply of a UDP tracker (BEP 15), for the connections of DialTracker
	kinds               // the number of kinds
)

// Parts of the headers that tell the protocols apart.
const (
	utpHeaderLen   = 20
	utpVersion     = 1
	utpTypes       = 5 // ST_DATA, ST_FIN, ST_STATE, ST_RESET, ST_SYN
	utpExtensions  = 3 // none, selective ACK, extension bits; libutp reads no packet that starts with another
	trackerMinLen  = 8 // action and transaction id
	trackerActions = 4 // connect, announce, scrape, error

	stunHeaderLen = 20
	stunCookie    = "\x21\x12\xa4\x42" // in bytes 4 to 7
	stunRequest   = 0x0001             // a binding request; the class is in bits 4 and 8
	stunUsername  = 0x0006             // the attribute that ICE has in all requests

	dtlsHeaderLen = 13
	dtlsFirst     = 20 // change_cipher_spec
	dtlsLast      = 25 // tls12_cid
)

// Classify returns the protocol of a packet. It is a pure function of the data: a KRPC message
// is a bencoded dictionary, STUN has a cookie and its exact length, a uTP packet has the version
// and a known type in its first byte, a DTLS record has a version and a length that fits, and the
// reply of a tracker begins with one of four actions in 32 bits. STUN comes before uTP, because
// the responses of STUN look like uTP but for the cookie, which a uTP packet has with the
// probability 2^-32. The records of DTLS 1.2 fit no other protocol. Those of DTLS 1.3, which this
// port does not speak, have uTP's first bytes 0x21 and 0x31 among theirs: code that adds it has to
// know the addresses of its connections.
func Classify(data []byte) Kind {
	switch n := len(data); {
	case n >= 2 && data[0] == 'd' && data[n-1] == 'e':
		return DHT
	case n >= stunHeaderLen && data[0] < 4 && string(data[4:8]) == stunCookie && int(data[2])<<8|int(data[3]) == n-stunHeaderLen:
		return stunKind(data)
	case n >= utpHeaderLen && data[0]&0xf == utpVersion && data[0]>>4 < utpTypes && data[1] < utpExtensions:
		return UTP
	case n >= dtlsHeaderLen && data[0] >= dtlsFirst && data[0] <= dtlsLast && data[1] == 0xfe && data[2] >= 0xfd &&
		int(data[11])<<8|int(data[12]) <= n-dtlsHeaderLen:
		return WebRTC
	case n >= trackerMinLen && data[0] == 0 && data[1] == 0 && data[2] == 0 && data[3] < trackerActions:
		return tracker
	}
	return Unknown
}

// stunKind returns STUN for a binding request without a user name, and WebRTC for all other
// messages with the header of STUN.
func stunKind(data []byte) Kind {
	if int(data[0])<<8|int(data[1]) != stunRequest {
		return WebRTC
	}
	for at := stunHeaderLen; at+4 <= len(data); {
		if int(data[at])<<8|int(data[at+1]) == stunUsername {
			return WebRTC
		}
		at += 4 + (int(data[at+2])<<8|int(data[at+3])+3)&^3
	}
	return STUN
}
