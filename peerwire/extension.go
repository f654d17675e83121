package peerwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"spate/bencode"
)

// Names of extended messages, the keys of the dictionary m (BEP 10).
const (
	ExtMetadata = "ut_metadata" // BEP 9
	ExtPEX      = "ut_pex"      // BEP 11
	ExtDontHave = "lt_donthave" // BEP 54
)

// MaxMetadata is the largest metadata in bytes that is fetched from peers.
const MaxMetadata = 16 << 20

// ErrExtension is the cause of every failure to read an extended message.
var ErrExtension = errors.New("malformed extended message")

// ExtHandshake is the first extended message of each side (BEP 10). Zero fields
// were not said, or are not.
type ExtHandshake struct {
	// Metadata, PEX and DontHave are the numbers that the sender wants to see on
	// messages of that extension; 0: it does not take them.
	Metadata, PEX, DontHave uint8
	// MetadataSize is the length of the info dictionary in bytes (BEP 9).
	MetadataSize int64
	// Port is where the sender listens for TCP.
	Port uint16
	// Reqq is how many requests it queues.
	Reqq int
	// Client is its name and version, as it came: not safe to show.
	Client string
	// YourIP is the receiver's address as the sender sees it.
	YourIP netip.Addr
	// UploadOnly says that it wants nothing (BEP 21).
	UploadOnly bool
}

// AppendExtHandshake appends the whole message.
func AppendExtHandshake(b []byte, h *ExtHandshake) []byte {
	d := bencode.AppendDict(nil)
	d = bencode.AppendDict(bencode.AppendString(d, "m"))
	for _, e := range []struct {
		name   string
		number uint8
	}{{ExtDontHave, h.DontHave}, {ExtMetadata, h.Metadata}, {ExtPEX, h.PEX}} {
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
	only := int64(0) // said too, for an earlier handshake may have said otherwise
	if h.UploadOnly {
		only = 1
	}
	d = bencode.AppendInt(bencode.AppendString(d, "upload_only"), only)
	if h.Client != "" {
		d = bencode.AppendString(bencode.AppendString(d, "v"), h.Client)
	}
	if h.YourIP.IsValid() {
		d = bencode.AppendString(bencode.AppendString(d, "yourip"), h.YourIP.AsSlice())
	}
	return AppendExtended(b, 0, bencode.AppendEnd(d))
}

// limits of what an extended message may be made of.
var extLimits = bencode.Options{Depth: 10, Tokens: 2000}

// ParseExtHandshake reads the payload of extended message 0. What is of another
// type than it should be is as if it were not there.
func ParseExtHandshake(payload []byte) (ExtHandshake, error) {
	var h ExtHandshake
	err := h.Update(payload)
	return h, err
}

// Update reads a later handshake of the same peer: what it names takes the place
// of what was said before, everything else stays (BEP 10). After an error h is as
// it was.
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
		h.MetadataSize = max(0, min(n, MaxMetadata+1))
	case "p":
		if n > 0 && n < 1<<16 {
			h.Port = uint16(n)
		}
	case "reqq":
		h.Reqq = int(max(0, min(n, 1<<16)))
	case "upload_only":
		h.UploadOnly = n != 0
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
		}
	}
}

// AppendDontHave appends the whole message that takes a have back, under the
// number that the peer gave (BEP 54).
func AppendDontHave(b []byte, number uint8, piece uint32) []byte {
	return AppendExtended(b, number, binary.BigEndian.AppendUint32(nil, piece))
}

// ParseDontHave reads the payload of such a message: the piece that the sender no
// longer has.
func ParseDontHave(payload []byte) (piece uint32, err error) {
	if len(payload) != 4 {
		return 0, fmt.Errorf("%w: don't have of %d bytes", ErrExtension, len(payload))
	}
	return binary.BigEndian.Uint32(payload), nil
}
