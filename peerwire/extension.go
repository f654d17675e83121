package peerwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"spate/bencode"
	"spate/internal/units"
)

// The names of extension messages, used as keys of the dictionary m (BEP 10).
const (
	ExtMetadata = "ut_metadata" // BEP 9
	ExtPEX      = "ut_pex"      // BEP 11
	ExtDontHave = "lt_donthave" // BEP 54
)

// ErrExtension is wrapped by the errors of the functions that parse extension messages.
var ErrExtension = errors.New("malformed extended message")

// ExtHandshake is the extension handshake (BEP 10). A field with its zero value was
// absent from the handshake, or is left out when it is sent.
type ExtHandshake struct {
	// Metadata, PEX, DontHave, DialBack and Holepunch are the message numbers that the sender
	// assigned to these extensions; 0 means that the sender does not support the extension.
	Metadata, PEX, DontHave, DialBack, Holepunch uint8
	// MetadataSize is the size of the info dictionary in bytes (BEP 9), as the peer claims it.
	MetadataSize int64
	// Port is the TCP port on which the sender listens.
	Port uint16
	// Reqq is the number of requests that the sender queues.
	Reqq int
	// Client is the name and version of the sender. It is not sanitized for display.
	Client string
	// YourIP is the address of the receiver as the sender sees it.
	YourIP netip.Addr
	// UploadOnly means that the sender downloads nothing (BEP 21).
	UploadOnly bool
	// V2Hashes means that the sender of a v1 torrent knows the v2 hashes of its pieces and
	// answers requests for block hashes that name the root of a piece.
	V2Hashes bool
	// Twin says whether the hybrid torrent of the sender has a v1 twin with a swarm of its own.
	Twin Twin
}

// Twin is what a peer says about the v1 twin of its hybrid torrent: the v1 torrent without the
// v2 part of the info dictionary, which has the same pieces. Zero means that it says nothing.
type Twin uint8

const (
	// TwinApart means that the swarm of the twin exists, and that the sender seeds the twin as
	// a torrent of its own.
	TwinApart Twin = 1
	// TwinJoined means that the connection serves both swarms: the torrent of the sender takes
	// part in the swarm of the hybrid and in that of the twin.
	TwinJoined Twin = 2
)

// AppendExtHandshake appends the complete message to b.
func AppendExtHandshake(b []byte, h *ExtHandshake) []byte {
	d := bencode.AppendDict(nil)
	d = bencode.AppendDict(bencode.AppendString(d, "m"))
	for _, e := range []struct {
		name   string
		number uint8
	}{{ExtDontHave, h.DontHave}, {ExtDialBack, h.DialBack}, {ExtHolepunch, h.Holepunch}, {ExtMetadata, h.Metadata}, {ExtPEX, h.PEX}} {
		if e.number != 0 {
			d = bencode.AppendInt(bencode.AppendString(d, e.name), int64(e.number))
		}
	}
	d = bencode.AppendEnd(d)
	integer := func(key string, n int64) {
		if n != 0 {
			d = bencode.AppendInt(bencode.AppendString(d, key), n)
		}
	}
	integer("metadata_size", h.MetadataSize)
	integer("p", int64(h.Port))
	integer("reqq", int64(h.Reqq))
	only := int64(0) // 0 is sent too, because an earlier handshake may have set it to 1
	if h.UploadOnly {
		only = 1
	}
	d = bencode.AppendInt(bencode.AppendString(d, "upload_only"), only)
	if h.Client != "" {
		d = bencode.AppendString(bencode.AppendString(d, "v"), h.Client)
	}
	integer("v1_twin", int64(h.Twin))
	if h.V2Hashes {
		integer("v2_hashes", 1)
	}
	if h.YourIP.IsValid() {
		d = bencode.AppendString(bencode.AppendString(d, "yourip"), h.YourIP.AsSlice())
	}
	return AppendExtended(b, 0, bencode.AppendEnd(d))
}

// extLimits limits the bencoded part of an extension message.
var extLimits = bencode.Options{Depth: 10, Tokens: 2000}

// ParseExtHandshake parses the payload of extension message 0. It ignores fields of the
// wrong type. The error wraps [ErrExtension].
func ParseExtHandshake(payload []byte) (ExtHandshake, error) {
	var h ExtHandshake
	err := h.Update(payload)
	return h, err
}

// Update parses a later handshake of the same peer. Fields that it contains replace
// those of h, and all others stay as they are (BEP 10). If Update returns an error, h
// is unchanged.
func (h *ExtHandshake) Update(payload []byte) error {
	next := *h
	d := bencode.NewDecoder(payload, extLimits)
	for key := range d.Dict {
		switch kind := d.Kind(); {
		case kind == bencode.Dict && string(key) == "m":
			parseExtNumbers(d, &next)
		case kind == bencode.Int:
			next.setInt(string(key), d.Int())
		case kind == bencode.String:
			s := d.Bytes()
			switch string(key) {
			case "v":
				next.Client = string(s[:min(len(s), 200)])
			case "yourip":
				if a, ok := netip.AddrFromSlice(s); ok {
					next.YourIP = a.Unmap()
				}
			}
		}
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("%w: handshake: %v", ErrExtension, err)
	}
	*h = next
	return nil
}

func (h *ExtHandshake) setInt(key string, n int64) {
	switch key {
	case "metadata_size":
		h.MetadataSize = max(0, n)
	case "p":
		if n > 0 && n < 1<<16 {
			h.Port = uint16(n)
		}
	case "reqq":
		h.Reqq = int(max(0, min(n, 1<<16)))
	case "upload_only":
		h.UploadOnly = n != 0
	case "v1_twin":
		h.Twin = 0
		if t := Twin(n); n == int64(t) && t <= TwinJoined {
			h.Twin = t
		}
	case "v2_hashes":
		h.V2Hashes = n != 0
	}
}

func parseExtNumbers(d *bencode.Decoder, h *ExtHandshake) {
	for key := range d.Dict {
		if d.Kind() != bencode.Int {
			continue
		}
		n := d.Int()
		if n < 0 || n > 255 {
			n = 0
		}
		switch string(key) {
		case ExtMetadata:
			h.Metadata = uint8(n)
		case ExtPEX:
			h.PEX = uint8(n)
		case ExtDontHave:
			h.DontHave = uint8(n)
		case ExtDialBack:
			h.DialBack = uint8(n)
		case ExtHolepunch:
			h.Holepunch = uint8(n)
		}
	}
}

// AppendDontHave appends the complete lt_donthave message to b (BEP 54). number is the
// message number that the receiver assigned to the extension.
func AppendDontHave(b []byte, number uint8, piece uint32) []byte {
	return AppendExtended(b, number, binary.BigEndian.AppendUint32(nil, piece))
}

// ParseDontHave parses the payload of an lt_donthave message and returns the piece that
// the sender no longer has.
func ParseDontHave(payload []byte) (piece uint32, err error) {
	if len(payload) != 4 {
		return 0, fmt.Errorf("%w: don't have of %s", ErrExtension, units.Plural(len(payload), "byte"))
	}
	return binary.BigEndian.Uint32(payload), nil
}
