package torrent

import (
	"encoding/hex"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"spate"
	"spate/internal/netguard"
)

// RangePath is the beginning of the path at which the peer port serves ranges of torrents over HTTP.
// The info-hash of the torrent follows as 40 hexadecimal digits. Ranges count the bytes of all pieces
// one after another.
const RangePath = "/piece-data/"

// maxRange bounds the bytes of one answer. A client that asks for more gets the beginning.
const maxRange = 4 << 20

// parseRangePath returns the info-hash in the path of a request.
func parseRangePath(path string) (ih spate.InfoHash, ok bool) {
	digits, ok := strings.CutPrefix(path, RangePath)
	if !ok || len(digits) != 2*len(ih) {
		return ih, false
	}
	_, err := hex.Decode(ih[:], []byte(digits))
	return ih, err == nil
}

// parseRange returns the range of a Range header of data of a size: from begin to before end. It
// accepts one range with a first byte, which browsers send to other sites without asking first.
func parseRange(header string, size int64) (begin, end int64, ok bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return 0, 0, false
	}
	first, last, ok := strings.Cut(spec, "-")
	begin, ok = parseOffset(first, ok)
	if !ok || begin >= size {
		return 0, 0, false
	}
	end = size
	if last != "" {
		end, ok = parseOffset(last, ok)
		if !ok || end < begin {
			return 0, 0, false
		}
		end = min(end+1, size)
	}
	return begin, min(end, begin+maxRange), true
}

// parseOffset parses decimal digits.
func parseOffset(digits string, ok bool) (int64, bool) {
	if !ok || len(digits) == 0 || len(digits) > 18 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// mayAskFrom reports whether a request may be answered that comes from an address. A page of a
// site on the internet may not use the browser of a visitor to find out what this machine, or one in
// the visitor's network, has. So a request from such an address must come from a page of such
// an address, or from a program that is no browser. A page at a name is refused there, because a name
// can have any address (DNS rebinding).
func mayAskFrom(from netip.Addr, h http.Header) bool {
	if netguard.KindOf(from) == netguard.Public {
		return true
	}
	origin := h.Get("Origin")
	if origin == "" {
		return h.Get("Referer") == "" && h.Get("Sec-Fetch-Site") == "" && h.Get("Sec-Fetch-Mode") == ""
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	page, err := netip.ParseAddr(u.Hostname())
	return err == nil && netguard.KindOf(page) != netguard.Public
}
