package udpmux

// Kind is the protocol of a packet.
type Kind uint8

// The kinds of packets. Packets of the other kinds have receivers that [Mux.Receive] sets.
const (
	Unknown Kind = iota // no protocol of this port
	DHT                 // BEP 5
	UTP                 // BEP 29
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
)

// Classify returns the protocol of a packet. It is a pure function of the data: a KRPC message
// is a bencoded dictionary, a uTP packet has the version and a known type in its first byte, and
// the reply of a tracker begins with one of four actions in 32 bits. No packet fits two of
// these. DTLS fits none, but the responses of STUN look like uTP: code that adds STUN has to look
// for its cookie first.
func Classify(data []byte) Kind {
	switch n := len(data); {
	case n >= 2 && data[0] == 'd' && data[n-1] == 'e':
		return DHT
	case n >= utpHeaderLen && data[0]&0xf == utpVersion && data[0]>>4 < utpTypes && data[1] < utpExtensions:
		return UTP
	case n >= trackerMinLen && data[0] == 0 && data[1] == 0 && data[2] == 0 && data[3] < trackerActions:
		return tracker
	}
	return Unknown
}
