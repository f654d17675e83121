package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"spate"
	"spate/bitfield"
	"spate/internal/units"
)

// A record file consists of recordMagic, the fields in the order of encode, and the
// SHA-256 of both. Numbers are varints, and strings are preceded by their length.
const recordMagic = "spate resume 2\n"

// The limits of a record.
const (
	maxRecordPieces = 1 << 26
	maxRecordPeers  = 1000
)

// Bits of the flags of a record, and of a file.
const (
	flagClean  = 1
	flagPaused = 2
	flagV1Only = 4

	flagExists    = 1
	flagHasChange = 2 // the change time follows the inode
)

// Encodings of Have.
const (
	haveNone = iota
	haveAll
	haveSome // followed by the bitfield
)

// encode returns the encoded record. It leaves out peers beyond the limit.
func (r *Record) encode() []byte {
	b := append([]byte(recordMagic), r.InfoHash[:]...)
	b = binary.AppendUvarint(b, flag(r.Clean, flagClean)|flag(r.Paused, flagPaused)|flag(r.V1Only, flagV1Only))
	b = r.appendHave(b)
	b = binary.AppendUvarint(b, uint64(len(r.Files)))
	for _, f := range r.Files {
		b = binary.AppendUvarint(b, flag(f.Exists, flagExists)|flag(f.Exists && f.Change != 0, flagHasChange))
		if f.Exists {
			b = binary.AppendVarint(b, f.Size)
			b = binary.AppendVarint(b, f.ModTime)
			b = binary.AppendUvarint(b, f.Inode)
			if f.Change != 0 {
				b = binary.AppendVarint(b, f.Change)
			}
		}
	}
	b = appendString(b, r.Dir)
	b = binary.AppendUvarint(b, r.Device)
	b = appendString(b, r.Name)
	b = appendString(b, string(r.Priorities))
	b = binary.AppendVarint(b, r.Uploaded)
	b = binary.AppendVarint(b, r.Downloaded)
	b = binary.AppendVarint(b, int64(r.Seeding))
	b = appendTime(b, r.Added)
	b = appendTime(b, r.Completed)
	peers := r.Peers[:min(len(r.Peers), maxRecordPeers)]
	b = binary.AppendUvarint(b, uint64(len(peers)))
	for _, p := range peers {
		b = appendString(b, string(p.Addr().AsSlice())+p.Addr().Zone())
		b = binary.AppendUvarint(b, uint64(p.Port()))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *Record) appendHave(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.Have.Len()))
	switch {
	case r.Have.None():
		return append(b, haveNone)
	case r.Have.All():
		return append(b, haveAll)
	}
	return append(append(b, haveSome), r.Have.Bytes()...)
}

func flag(on bool, bit uint64) uint64 {
	if on {
		return bit
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTime appends t in seconds since 1970, or 0 for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.Unix())
}

var errRecord = errors.New("damaged")

// decodeRecord checks the magic and the checksum and decodes the fields.
func decodeRecord(b []byte) (*Record, error) {
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("%w: empty", errRecord)
	case len(b) > maxRecord:
		return nil, fmt.Errorf("%w: longer than %s", errRecord, units.Plural(maxRecord, "byte"))
	case !bytes.HasPrefix(b, []byte(recordMagic)):
		return nil, fmt.Errorf("%w: unknown format", errRecord)
	case len(b) < len(recordMagic)+sha256.Size:
		return nil, fmt.Errorf("%w: truncated", errRecord)
	}
	body := b[:len(b)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(b[len(body):]) {
		return nil, fmt.Errorf("%w: wrong checksum", errRecord)
	}
	return decodeFields(body[len(recordMagic):])
}

// decodeFields decodes the part between the magic and the checksum. The length of b and the
// limits above bound the memory that it allocates.
func decodeFields(b []byte) (*Record, error) {
	d := decoder{b: b}
	r := &Record{}
	copy(r.InfoHash[:], d.bytes(uint64(len(spate.InfoHash{}))))
	flags := d.uint()
	r.Clean, r.Paused, r.V1Only = flags&flagClean != 0, flags&flagPaused != 0, flags&flagV1Only != 0
	r.Have = d.have()
	r.Files = make([]FileStat, d.count(1))
	for i := range r.Files {
		flags, f := d.uint(), &r.Files[i]
		if flags&flagExists != 0 {
			*f = FileStat{Exists: true, Size: d.int(), ModTime: d.int(), Inode: d.uint()}
			if flags&flagHasChange != 0 {
				f.Change = d.int()
			}
		}
	}
	r.Dir = string(d.bytes(d.uint()))
	r.Device = d.uint()
	r.Name = string(d.bytes(d.uint()))
	if p := d.bytes(d.uint()); len(p) > 0 {
		r.Priorities = bytes.Clone(p)
	}
	r.Uploaded, r.Downloaded = d.int(), d.int()
	r.Seeding = time.Duration(d.int())
	r.Added, r.Completed = d.time(), d.time()
	peers := d.count(2)
	if peers > maxRecordPeers {
		d.fail()
	}
	for range peers {
		addr, ok := decodeAddr(d.bytes(d.uint()))
		port := d.uint()
		if !ok || port > math.MaxUint16 {
			d.fail()
		}
		if d.failed {
			break
		}
		r.Peers = append(r.Peers, netip.AddrPortFrom(addr, uint16(port)))
	}
	if d.failed || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: malformed fields", errRecord)
	}
	return r, nil
}

// decodeAddr decodes an IP address, which a zone follows if it is link-local.
func decodeAddr(b []byte) (netip.Addr, bool) {
	const most = 64 // bytes of a zone
	if len(b) <= 16 {
		return netip.AddrFromSlice(b)
	}
	a := netip.AddrFrom16([16]byte(b[:16]))
	return a.WithZone(string(b[16:])), len(b) <= 16+most && a.IsLinkLocalUnicast() && a.Is6()
}

// decoder reads fields. After the first malformed field all reads return zero.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) fail() { d.failed, d.b = true, nil }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes returns the next n bytes as a slice of the input.
func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// count reads a number of items, each of which has at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) time() time.Time {
	if s := d.int(); s != 0 {
		return time.Unix(s, 0)
	}
	return time.Time{}
}

func (d *decoder) have() bitfield.Bitfield {
	n := d.uint()
	how := d.bytes(1)
	if d.failed || n > maxRecordPieces {
		d.fail()
		return bitfield.Bitfield{}
	}
	switch how[0] {
	case haveNone:
		return bitfield.New(int(n))
	case haveAll:
		f := bitfield.New(int(n))
		f.SetAll()
		return f
	case haveSome:
		f, err := bitfield.FromBytes(d.bytes((n+7)/8), int(n))
		if err == nil {
			return f.Clone() // do not keep the input in memory
		}
	}
	d.fail()
	return bitfield.Bitfield{}
}
