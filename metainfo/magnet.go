package metainfo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"spate"
	"spate/internal/units"
	"spate/internal/weburl"
)

// ErrBadMagnet is wrapped by the errors of [ParseMagnet].
var ErrBadMagnet = errors.New("not a valid magnet link")

// maxMagnet is the maximum length of a magnet link in bytes. It also limits its
// trackers and other parameters.
const maxMagnet = 64 << 10

// maxHints limits each list of a magnet link. Further entries are ignored.
const maxHints = 500

// Magnet is a magnet link (BEP 9, BEP 52, BEP 53): the info-hashes of a torrent and
// hints where to find it. At least one of the hashes is not zero.
type Magnet struct {
	HashV1   spate.InfoHash   // xt=urn:btih
	HashV2   spate.InfoHashV2 // xt=urn:btmh
	Name     string           // dn: as in the link, not safe as a file name
	Length   int64            // xl: in bytes; 0 if unknown
	Trackers []string         // tr
	WebSeeds []string         // ws, and as if it is no .torrent
	Torrents []string         // xs, and as if it is a .torrent: http and https URLs of the .torrent file
	Peers    []string         // x.pe: host:port
	Select   []Range          // so: indexes of the files to download (BEP 53); nil selects all
}

// Range is a range of file indexes, including both ends.
type Range struct{ First, Last int }

// Magnet returns the magnet link of the torrent with its trackers and web seeds. Its name is
// the one that a download stores ([SafeName]).
func (m *MetaInfo) Magnet() Magnet {
	g := Magnet{
		HashV1: m.hashV1, HashV2: m.hashV2, Name: SafeName(m.Info.Name), Length: m.Info.DataLength(),
		WebSeeds: slices.Clone(m.WebSeeds),
	}
	for _, tier := range m.AnnounceList {
		g.Trackers = append(g.Trackers, tier...)
	}
	return g
}

// Hash returns the info-hash that identifies the swarm: the v1 info-hash if there is
// one, otherwise the truncated v2 info-hash.
func (m Magnet) Hash() spate.InfoHash {
	if !m.HashV1.IsZero() {
		return m.HashV1
	}
	return m.HashV2.Truncate()
}

// Selected reports whether the file with index i is selected. The index counts pad
// files, because BEP 53 does not exclude them.
func (m Magnet) Selected(i int) bool {
	if m.Select == nil {
		return true
	}
	for _, r := range m.Select {
		if r.First <= i && i <= r.Last {
			return true
		}
	}
	return false
}

// ParseMagnet parses a magnet link. It ignores unknown and malformed parameters; without a
// valid selection all files are selected. A malformed hash is an error that wraps
// [ErrBadMagnet].
func ParseMagnet(s string) (Magnet, error) {
	const scheme = "magnet:"
	bad := func(reason string) (Magnet, error) { return Magnet{}, fmt.Errorf("%w: %s", ErrBadMagnet, reason) }
	switch {
	case len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme):
		return bad("it does not start with magnet:")
	case len(s) > maxMagnet:
		return bad(fmt.Sprintf("%s exceed the limit of %d", units.Plural(len(s), "byte"), maxMagnet))
	}
	query, ok := strings.CutPrefix(s[len(scheme):], "?")
	if !ok {
		return bad("it has no parameters")
	}
	var m Magnet
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(strings.TrimPrefix(pair, "amp;"), "=") // links copied from HTML have "&amp;"
		value, err := url.QueryUnescape(value)
		if err != nil || value == "" {
			continue
		}
		if k := strings.LastIndexByte(key, '.'); k > 0 && isDigits(key[k+1:]) {
			key = key[:k] // such as tr.1
		}
		if err := m.parameter(strings.ToLower(key), value); err != nil {
			return Magnet{}, err
		}
	}
	if m.HashV1.IsZero() && m.HashV2.IsZero() {
		return bad("it has no info-hash (xt=urn:btih: or urn:btmh:)")
	}
	return m, nil
}

// parameter sets the field for one parameter.
func (m *Magnet) parameter(key, value string) error {
	if key == "xt" {
		return m.topic(value)
	}
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "?")
	}
	value = strings.TrimSpace(value)
	switch key {
	case "dn":
		m.Name = value
	case "xl":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			m.Length = n
		}
	case "tr":
		addNew(&m.Trackers, value)
	case "ws":
		addNew(&m.WebSeeds, value)
	case "xs", "as":
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		case key == "xs" || strings.EqualFold(path.Ext(u.Path), ".torrent"):
			addNew(&m.Torrents, value)
		default:
			addNew(&m.WebSeeds, value)
		}
	case "x.pe":
		if host, port, err := net.SplitHostPort(value); err == nil && host != "" && validPort(port) {
			addNew(&m.Peers, value)
		}
	case "so":
		if r, ok := parseSelection(value); ok {
			m.Select = append(m.Select, r...)
		}
	}
	return nil
}

func addNew(list *[]string, s string) {
	if s != "" && len(*list) < maxHints && !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// sha256Prefix is the multihash prefix of a SHA-256 hash (BEP 52).
const sha256Prefix = "1220"

// topic sets the hash for an exact topic. It ignores topics that are not BitTorrent
// info-hashes.
func (m *Magnet) topic(value string) error {
	const v1, v2 = "urn:btih:", "urn:btmh:"
	switch {
	case hasPrefixFold(value, v1):
		h, err := spate.ParseInfoHash(value[len(v1):])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBadMagnet, err)
		}
		if h.IsZero() || !m.HashV1.IsZero() && m.HashV1 != h {
			return fmt.Errorf("%w: different v1 info-hashes, or one of zeros", ErrBadMagnet)
		}
		m.HashV1 = h
	case hasPrefixFold(value, v2):
		digits, ok := strings.CutPrefix(value[len(v2):], sha256Prefix)
		h, err := spate.ParseInfoHashV2(digits)
		if !ok || err != nil {
			return fmt.Errorf("%w: %q is not a SHA-256 multihash", ErrBadMagnet, cut(value, 100))
		}
		if h.Truncate().IsZero() || !m.HashV2.IsZero() && m.HashV2 != h {
			return fmt.Errorf("%w: different v2 info-hashes, or one of zeros", ErrBadMagnet)
		}
		m.HashV2 = h
	}
	return nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// parseSelection parses a list such as 0,2,4-6 (BEP 53), and reports whether it is valid.
func parseSelection(s string) ([]Range, bool) {
	var list []Range
	for item := range strings.SplitSeq(s, ",") {
		if item == "" {
			continue
		}
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 31)
		b, err2 := strconv.ParseUint(last, 10, 31)
		if err != nil || err2 != nil || a > b {
			return nil, false
		}
		list = append(list, Range{int(a), int(b)})
	}
	return list, true
}

// String returns the magnet link. Parsing it gives m again, but with A-labels instead of
// U-labels in the hosts of URLs and peers, because many clients resolve only names in ASCII.
func (m Magnet) String() string {
	var b strings.Builder
	b.WriteString("magnet:")
	sep := byte('?')
	put := func(key, value string) {
		b.WriteByte(sep)
		sep = '&'
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(value)
	}
	if !m.HashV1.IsZero() {
		put("xt", "urn:btih:"+m.HashV1.String())
	}
	if !m.HashV2.IsZero() {
		put("xt", "urn:btmh:"+sha256Prefix+hex.EncodeToString(m.HashV2[:]))
	}
	if m.Name != "" {
		put("dn", escape(m.Name))
	}
	if m.Length > 0 {
		put("xl", strconv.FormatInt(m.Length, 10))
	}
	for _, s := range m.Trackers {
		put("tr", escape(weburl.ASCIIOrSame(s)))
	}
	for _, s := range m.WebSeeds {
		put("ws", escape(weburl.ASCIIOrSame(s)))
	}
	for _, s := range m.Torrents {
		put("xs", escape(s))
	}
	for _, s := range m.Peers {
		if ascii, err := weburl.ASCIIHostPort(s); err == nil {
			s = ascii
		}
		put("x.pe", escape(s))
	}
	if len(m.Select) > 0 {
		put("so", formatSelection(m.Select))
	}
	return b.String()
}

func formatSelection(list []Range) string {
	var b []byte
	for i, r := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r.First), 10)
		if r.Last != r.First {
			b = strconv.AppendInt(append(b, '-'), int64(r.Last), 10)
		}
	}
	return string(b)
}

// escape escapes all reserved characters. It escapes a space as %20, because some
// programs do not decode "+".
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
