package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"spate"
	"spate/internal/units"
	"spate/tracker"
)

// ProtocolID is the connection id of a connect request (BEP 15).
const ProtocolID = 0x41727101980

// Action is the type of a UDP packet (BEP 15).
type Action uint32

// The actions of BEP 15.
const (
	ActionConnect  Action = 0
	ActionAnnounce Action = 1
	ActionScrape   Action = 2
	ActionError    Action = 3
)

// Lengths of packets and their fixed parts in bytes (BEP 15).
const (
	UDPHeaderLen        = 16 // header of every request; a connect request has nothing else
	UDPAnnounceLen      = 98 // an announce without the options of BEP 41
	UDPConnectReplyLen  = 16
	UDPAnnounceReplyLen = 20 // reply to an announce without the peers
	UDPReplyLen         = 8  // header of every reply
	udpScrapeEntryLen   = 12
)

// The option types of BEP 41.
const (
	optionEnd     = 0
	optionNOP     = 1
	optionURLData = 2
)

// maxURLData limits the length in bytes of the path and query in BEP 41 options.
const maxURLData = 1024

// The errors for malformed UDP packets.
var (
	ErrShortPacket  = errors.New("udp tracker packet is too short")
	ErrBadOption    = errors.New("udp tracker packet has a malformed option")
	ErrBadEvent     = errors.New("unknown event")
	ErrBadPort      = errors.New("port is not from 1 to 65535")
	ErrBadHashes    = errors.New("length of the scrape does not fit a whole number of info-hashes")
	ErrUnknownReply = errors.New("udp tracker packet of an unknown type")
)

// UDPHeader is the start of every request.
type UDPHeader struct {
	ConnectionID  uint64
	Action        Action
	TransactionID uint32
}

// ParseUDPHeader parses the first [UDPHeaderLen] bytes of a request.
func ParseUDPHeader(b []byte) (UDPHeader, error) {
	if len(b) < UDPHeaderLen {
		return UDPHeader{}, ErrShortPacket
	}
	return UDPHeader{
		ConnectionID:  binary.BigEndian.Uint64(b),
		Action:        Action(binary.BigEndian.Uint32(b[8:])),
		TransactionID: binary.BigEndian.Uint32(b[12:]),
	}, nil
}

// ParseUDPAnnounce parses the announce b, including its header, into req. It sets all
// fields of req. It returns the part of b that follows, whose options [AppendURLData]
// reads.
func ParseUDPAnnounce(b []byte, req *tracker.AnnounceRequest) (options []byte, err error) {
	if len(b) < UDPAnnounceLen {
		return nil, ErrShortPacket
	}
	event := binary.BigEndian.Uint32(b[80:])
	if event > uint32(tracker.EventPaused) {
		return nil, ErrBadEvent
	}
	*req = tracker.AnnounceRequest{
		InfoHash:   spate.InfoHash(b[16:36]),
		PeerID:     spate.PeerID(b[36:56]),
		Downloaded: atLeastZero(binary.BigEndian.Uint64(b[56:])),
		Left:       int64(binary.BigEndian.Uint64(b[64:])),
		Uploaded:   atLeastZero(binary.BigEndian.Uint64(b[72:])),
		Event:      tracker.Event(event),
		Key:        binary.BigEndian.Uint32(b[88:]),
		NumWant:    int(int32(binary.BigEndian.Uint32(b[92:]))),
		Port:       binary.BigEndian.Uint16(b[96:]),
	}
	if req.Left < 0 {
		req.Left = tracker.Unknown
	}
	if ip := b[84:88]; binary.BigEndian.Uint32(ip) != 0 {
		req.IP = netip.AddrFrom4([4]byte(ip))
	}
	if req.Port == 0 {
		return nil, ErrBadPort
	}
	return b[UDPAnnounceLen:], nil
}

func atLeastZero(n uint64) int64 {
	if n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}

// AppendURLData appends to dst the path and query in the options of an announce (BEP
// 41), if there are any.
func AppendURLData(dst, options []byte) ([]byte, error) {
	start := len(dst)
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return dst, nil
		case optionNOP:
			options = options[1:]
		default:
			if len(options) < 2 || len(options) < 2+int(options[1]) {
				return dst[:start], ErrBadOption
			}
			value := options[2 : 2+int(options[1])]
			if options[0] == optionURLData {
				dst = append(dst, value...)
			}
			if len(dst)-start > maxURLData {
				return dst[:start], ErrBadOption
			}
			options = options[2+len(value):]
		}
	}
	return dst, nil
}

// ParseUDPScrape returns the concatenated info-hashes of the scrape b, which includes
// its header. It drops the info-hashes after the first [tracker.MaxScrapeUDP].
func ParseUDPScrape(b []byte) (hashes []byte, err error) {
	const n = len(spate.InfoHash{})
	if len(b) < UDPHeaderLen+n || (len(b)-UDPHeaderLen)%n != 0 {
		return nil, ErrBadHashes
	}
	return b[UDPHeaderLen:min(len(b), UDPHeaderLen+n*tracker.MaxScrapeUDP)], nil
}

// AppendUDPConnectReply appends a reply to a connect request.
func AppendUDPConnectReply(b []byte, transactionID uint32, connectionID uint64) []byte {
	b = appendReplyHead(b, ActionConnect, transactionID)
	return binary.BigEndian.AppendUint64(b, connectionID)
}

// AppendUDPAnnounceReply appends the fixed part of a reply to an announce. The compact
// peers follow it; they must be of the address family over which the reply is sent.
// interval is in seconds.
func AppendUDPAnnounceReply(b []byte, transactionID, interval, leechers, seeders uint32) []byte {
	b = appendReplyHead(b, ActionAnnounce, transactionID)
	b = binary.BigEndian.AppendUint32(b, interval)
	b = binary.BigEndian.AppendUint32(b, leechers)
	return binary.BigEndian.AppendUint32(b, seeders)
}

// AppendUDPScrapeReply appends the header of a reply to a scrape. The entries follow it
// in the order of the requested info-hashes.
func AppendUDPScrapeReply(b []byte, transactionID uint32) []byte {
	return appendReplyHead(b, ActionScrape, transactionID)
}

// AppendUDPScrapeEntry appends the counts of one swarm.
func AppendUDPScrapeEntry(b []byte, seeders, completed, leechers uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, seeders)
	b = binary.BigEndian.AppendUint32(b, completed)
	return binary.BigEndian.AppendUint32(b, leechers)
}

// AppendUDPError appends an error reply.
func AppendUDPError(b []byte, transactionID uint32, reason string) []byte {
	return append(appendReplyHead(b, ActionError, transactionID), reason...)
}

func appendReplyHead(b []byte, a Action, transactionID uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(a))
	return binary.BigEndian.AppendUint32(b, transactionID)
}

// AppendUDPConnect appends a connect request.
func AppendUDPConnect(b []byte, transactionID uint32) []byte {
	return appendRequestHead(b, ProtocolID, ActionConnect, transactionID)
}

func appendRequestHead(b []byte, connectionID uint64, a Action, transactionID uint32) []byte {
	b = binary.BigEndian.AppendUint64(b, connectionID)
	return appendReplyHead(b, a, transactionID)
}

// AppendUDPAnnounce appends an announce. urlData is the path and query of the tracker's
// URL, which is sent as options of BEP 41; empty omits them. [tracker.EventPaused] is
// sent as a regular announce, because BEP 15 has no number for it and some trackers
// refuse unknown ones.
func AppendUDPAnnounce(b []byte, connectionID uint64, transactionID uint32, req *tracker.AnnounceRequest, urlData string) []byte {
	b = appendRequestHead(b, connectionID, ActionAnnounce, transactionID)
	b = append(b, req.InfoHash[:]...)
	b = append(b, req.PeerID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(req.Downloaded))
	left := req.Left
	if left < 0 {
		left = math.MaxInt64
	}
	b = binary.BigEndian.AppendUint64(b, uint64(left))
	b = binary.BigEndian.AppendUint64(b, uint64(req.Uploaded))
	event := req.Event
	if event > tracker.EventStopped {
		event = tracker.EventNone
	}
	b = binary.BigEndian.AppendUint32(b, uint32(event))
	var ip [4]byte
	if a := req.IP.Unmap(); a.Is4() {
		ip = a.As4()
	}
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint32(b, req.Key)
	b = binary.BigEndian.AppendUint32(b, uint32(int32(max(min(req.NumWant, math.MaxInt32), -1))))
	b = binary.BigEndian.AppendUint16(b, req.Port)
	for len(urlData) > 0 {
		n := min(len(urlData), math.MaxUint8)
		b = append(b, optionURLData, byte(n))
		b = append(b, urlData[:n]...)
		urlData = urlData[n:]
	}
	return b
}

// AppendUDPScrape appends a scrape of at most [tracker.MaxScrapeUDP] info-hashes.
func AppendUDPScrape(b []byte, connectionID uint64, transactionID uint32, hashes []spate.InfoHash) []byte {
	b = appendRequestHead(b, connectionID, ActionScrape, transactionID)
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

// ParseUDPReply parses the header of a reply. body is the part of b that follows it.
func ParseUDPReply(b []byte) (a Action, transactionID uint32, body []byte, err error) {
	if len(b) < UDPReplyLen {
		return 0, 0, nil, ErrShortPacket
	}
	a = Action(binary.BigEndian.Uint32(b))
	if a > ActionError {
		return 0, 0, nil, ErrUnknownReply
	}
	return a, binary.BigEndian.Uint32(b[4:]), b[UDPReplyLen:], nil
}

// ParseUDPConnectReply parses the body of a reply to a connect request.
func ParseUDPConnectReply(body []byte) (connectionID uint64, err error) {
	if len(body) < UDPConnectReplyLen-UDPReplyLen {
		return 0, ErrShortPacket
	}
	return binary.BigEndian.Uint64(body), nil
}

// ParseUDPAnnounceReply parses the body of a reply to an announce. v6 reports
// whether the reply came over IPv6 and therefore has IPv6 peers.
func ParseUDPAnnounceReply(body []byte, v6 bool) (*tracker.AnnounceResponse, error) {
	if len(body) < UDPAnnounceReplyLen-UDPReplyLen {
		return nil, ErrShortPacket
	}
	r := &tracker.AnnounceResponse{
		Interval:   seconds(int64(int32(binary.BigEndian.Uint32(body)))),
		Incomplete: int(binary.BigEndian.Uint32(body[4:])),
		Complete:   int(binary.BigEndian.Uint32(body[8:])),
		Downloaded: tracker.Unknown,
	}
	if r.Interval <= 0 {
		r.Interval = defaultInterval
	}
	var err error
	if list := body[12:]; v6 {
		r.Peers, err = spate.AppendPeers6(nil, list)
	} else {
		r.Peers, err = spate.AppendPeers4(nil, list)
	}
	if err != nil {
		return nil, fmt.Errorf("udp announce reply: %w", err)
	}
	return r, nil
}

// ParseUDPScrapeReply parses the body of a reply to a scrape of hashes. The result has
// fewer entries than hashes if the reply has.
func ParseUDPScrapeReply(body []byte, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	n := min(len(body)/udpScrapeEntryLen, len(hashes))
	if n == 0 {
		return nil, fmt.Errorf("udp scrape reply: %w: %s for %s", ErrShortPacket, units.Plural(len(body), "byte"), units.Plural(len(hashes), "info-hash"))
	}
	out := make([]tracker.ScrapeEntry, n)
	for i := range out {
		e := body[i*udpScrapeEntryLen:]
		out[i] = tracker.ScrapeEntry{
			InfoHash:   hashes[i],
			Complete:   int(binary.BigEndian.Uint32(e)),
			Downloaded: int(binary.BigEndian.Uint32(e[4:])),
			Incomplete: int(binary.BigEndian.Uint32(e[8:])),
		}
	}
	return out, nil
}

// ParseUDPError parses the body of an error reply.
func ParseUDPError(body []byte) *tracker.FailureError {
	return &tracker.FailureError{Reason: CleanText(strings.TrimRight(string(body[:min(len(body), maxText)]), "\x00"))}
}
