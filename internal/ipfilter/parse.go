package ipfilter

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"spate/internal/units"
)

// Limits of a list.
const (
	// MaxBytes bounds the bytes of a list, also after it is unpacked.
	MaxBytes = 256 << 20
	// MaxRanges bounds the ranges of all lists together.
	MaxRanges = 4_000_000

	maxLine = 16 << 10 // bytes of a line; descriptions are shorter
)

// ErrTooLarge is the error for lists beyond [MaxBytes] or [MaxRanges].
var ErrTooLarge = errors.New("the list is too large")

// errNoRange is the error for a text without a readable range.
var errNoRange = errors.New("no line is a range of addresses: want CIDR prefixes, .dat or .p2p lines")

// Read reads a list into l, in addition to what l contains. The caller calls Done after the last
// one. Each line is of one of these kinds, so that a text can mix them:
//
//	192.0.2.0/24, 2001:db8::/32, 192.0.2.1 or 192.0.2.1 - 192.0.2.9
//	192.000.002.000 - 192.000.002.255 , 100 , description   (eMule .dat)
//	description:192.0.2.0-192.0.2.255                       (PeerGuardian .p2p)
//
// The number in a line of a .dat is the access level: a range with a level of 128 or more is not
// blocked. Read ignores empty lines and comments, which begin with #, ; or //. It counts other lines
// that it cannot read; if there is no readable line but others, it returns an error.
func (l *List) Read(r io.Reader) error { return l.read(r, MaxBytes) }

func (l *List) read(r io.Reader, most int64) error {
	b := bufio.NewReaderSize(r, 64<<10)
	var text io.Reader = b
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		text = unpacked
	}
	limited := &io.LimitedReader{R: text, N: most + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	good, bad, n := 0, 0, 0
	for lines.Scan() {
		n++
		isRange, ok := l.line(bytes.TrimSpace(lines.Bytes()))
		switch {
		case !ok:
			bad++
			l.Skipped++
			if l.Skipped == 1 {
				l.FirstSkipped = n
			}
		case isRange:
			good++
		}
		if l.Len() > MaxRanges {
			return fmt.Errorf("%w: more than %s", ErrTooLarge, units.Plural(MaxRanges, "range"))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	if limited.N == 0 {
		return fmt.Errorf("%w: more than %s", ErrTooLarge, units.Plural(int(most), "byte"))
	}
	if good == 0 && bad > 0 {
		return errNoRange
	}
	return nil
}

// Done sorts the ranges after the last [List.Read].
func (l *List) Done() {
	l.v4, l.v6 = join(l.v4, compare4), join(l.v6, wide.compare)
}

// line adds the range of a line. It reports whether the line is a range, also one that is not
// blocked, and whether it could be read.
func (l *List) line(s []byte) (isRange, ok bool) {
	s = bytes.TrimPrefix(s, byteOrderMark)
	if len(s) == 0 || s[0] == '#' || s[0] == ';' || bytes.HasPrefix(s, []byte("//")) {
		return false, true
	}
	if span, rest, dat := bytes.Cut(s, []byte{','}); dat {
		level, _, _ := bytes.Cut(rest, []byte{','})
		n, err := strconv.Atoi(string(bytes.TrimSpace(level)))
		first, last, ok := parseSpan(span)
		switch {
		case err != nil || !ok:
			// A description of a .p2p may contain a comma.
		case n > 127:
			return true, true
		default:
			ok = l.add(first, last)
			return ok, ok
		}
	}
	first, last, ok := parseSpan(s)
	if !ok {
		i := bytes.LastIndexByte(s, ':')
		if i < 0 {
			return false, false
		}
		if first, last, ok = parseSpan(s[i+1:]); !ok || !first.Is4() {
			return false, false
		}
	}
	ok = l.add(first, last)
	return ok, ok
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// parseSpan parses FIRST-LAST, an address, or a CIDR prefix.
func parseSpan(s []byte) (first, last netip.Addr, ok bool) {
	s = bytes.TrimSpace(s)
	if i := bytes.IndexByte(s, '-'); i >= 0 {
		a, ok1 := parseAddr(s[:i])
		b, ok2 := parseAddr(s[i+1:])
		return a, b, ok1 && ok2
	}
	if i := bytes.IndexByte(s, '/'); i >= 0 {
		a, ok1 := parseAddr(s[:i])
		bits, err := strconv.Atoi(string(s[i+1:]))
		p, perr := a.Prefix(bits)
		if !ok1 || err != nil || perr != nil {
			return first, last, false
		}
		return p.Addr(), lastOf(p), true
	}
	a, ok := parseAddr(s)
	return a, a, ok
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if host := 8*(i+1) - p.Bits(); host > 0 {
			b[i] |= byte(1<<min(host, 8) - 1)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// parseAddr parses an address. The numbers of an IPv4 address may have leading zeros, as in a .dat,
// and are decimal all the same.
func parseAddr(s []byte) (netip.Addr, bool) {
	s = bytes.TrimSpace(s)
	if len(s) > 0 && bytes.IndexByte(s, ':') >= 0 {
		a, err := netip.ParseAddr(string(s))
		return a, err == nil && a.Zone() == ""
	}
	var b [4]byte
	part, digits, n := 0, 0, 0
	for _, c := range s {
		switch {
		case c == '.' && digits > 0 && part < 3:
			b[part] = byte(n)
			part, digits, n = part+1, 0, 0
		case c >= '0' && c <= '9' && digits < 3:
			digits, n = digits+1, 10*n+int(c-'0')
			if n > 255 {
				return netip.Addr{}, false
			}
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	b[3] = byte(n)
	return netip.AddrFrom4(b), true
}
