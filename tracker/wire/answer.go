package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/bencode"
	"spate/tracker"
)

// MaxAnswer is the length in bytes, after decompression, of the longest response that a
// client reads.
const MaxAnswer = 1 << 20

// ErrNotAnswer is returned for bencoded data that is not the response of a tracker.
var ErrNotAnswer = errors.New("not the response of a tracker")

// answerLimits limits the responses of trackers.
var answerLimits = bencode.Options{Depth: 8, Tokens: 200_000}

// ParseAnnounceAnswer parses the response to an HTTP announce. The error is a
// *[tracker.FailureError] if the tracker refused, a *[bencode.SyntaxError] or
// [ErrNotAnswer] if the response is malformed, and [spate.ErrBadCompact] if a compact
// list is.
//
// Because existing trackers send such responses, ParseAnnounceAnswer ignores values of
// the wrong type, peers without a usable address, and bytes after the dictionary.
func ParseAnnounceAnswer(b []byte) (*tracker.AnnounceResponse, error) {
	r := &tracker.AnnounceResponse{Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown}
	var failure tracker.FailureError
	failed, answered := false, false
	var listErr error
	d := bencode.NewDecoder(b, answerLimits)
	for key := range d.Dict {
		switch string(key) {
		case "failure reason":
			failure.Reason, failed = textOf(d), true
		case "retry in":
			failure.RetryIn, failure.Never = retryOf(d)
		case "interval":
			if d.Kind() == bencode.Int {
				r.Interval, answered = seconds(d.Int()), true
			}
		case "min interval":
			r.MinInterval = seconds(max(intOf(d), 0))
		case "complete":
			r.Complete = countOf(d)
		case "incomplete":
			r.Incomplete = countOf(d)
		case "downloaded":
			r.Downloaded = countOf(d)
		case "warning message":
			r.Warning = textOf(d)
		case "tracker id":
			if id := bytesOf(d); len(id) <= maxText {
				r.TrackerID = string(id)
			}
		case "external ip":
			r.ExternalIP, _ = netip.AddrFromSlice(bytesOf(d))
			r.ExternalIP = r.ExternalIP.Unmap()
		case "peers", "peers6":
			answered = true
			if err := peersOf(d, r, len(key) == len("peers6")); err != nil && listErr == nil {
				listErr = err
			}
		}
	}
	switch {
	case d.Err() != nil:
		return nil, d.Err()
	case failed:
		failure.Interval, failure.MinInterval = r.Interval, r.MinInterval
		return nil, &failure
	case listErr != nil:
		return nil, listErr
	case !answered:
		return nil, ErrNotAnswer
	}
	if r.Interval <= 0 {
		r.Interval = defaultInterval
	}
	return r, nil
}

// intOf reads an integer. It returns -1 for other types.
func intOf(d *bencode.Decoder) int64 {
	if d.Kind() != bencode.Int {
		return -1
	}
	return d.Int()
}

// countOf reads a number of peers or downloads. It returns Unknown for other values.
func countOf(d *bencode.Decoder) int {
	const most = 1<<31 - 1
	if n := intOf(d); n >= 0 {
		return int(min(n, most))
	}
	return tracker.Unknown
}

// bytesOf reads a string. It returns nil for other types.
func bytesOf(d *bencode.Decoder) []byte {
	if d.Kind() != bencode.String {
		return nil
	}
	return d.Bytes()
}

// textOf reads a string and makes it safe to show.
func textOf(d *bencode.Decoder) string {
	b := bytesOf(d)
	return CleanText(string(b[:min(len(b), maxText)]))
}

// retryOf reads "retry in" (BEP 31): "never", or a number of minutes, which some
// trackers send as a string.
func retryOf(d *bencode.Decoder) (in time.Duration, never bool) {
	var n int64
	switch d.Kind() {
	case bencode.Int:
		n = d.Int()
	case bencode.String:
		s := d.String()
		if s == "never" {
			return 0, true
		}
		n, _ = strconv.ParseInt(s, 10, 32)
	}
	if n <= 0 {
		return 0, false
	}
	return seconds(min(n, int64(maxInterval/time.Minute)) * 60), false
}

// peersOf appends the peers of a compact or non-compact list to r.Peers. v6 means
// that a compact list has IPv6 addresses.
func peersOf(d *bencode.Decoder, r *tracker.AnnounceResponse, v6 bool) (err error) {
	switch d.Kind() {
	case bencode.String:
		if v6 {
			r.Peers, err = spate.AppendPeers6(r.Peers, d.Bytes())
		} else {
			r.Peers, err = spate.AppendPeers4(r.Peers, d.Bytes())
		}
	case bencode.List:
		for range d.List {
			switch ap, name := peerOf(d); {
			case ap.IsValid():
				r.Peers = append(r.Peers, ap)
			case name != "" && len(r.PeerNames) < tracker.MaxPeerNames && !slices.Contains(r.PeerNames, name):
				r.PeerNames = append(r.PeerNames, name)
			}
		}
	}
	return err
}

// peerOf reads a peer from a dictionary of a non-compact list (BEP 3): its address, or host:port
// if its "ip" is a DNS name. It returns neither for other values. An address has no zone,
// because the tracker cannot know the interfaces of this host.
func peerOf(d *bencode.Decoder) (addr netip.AddrPort, name string) {
	if d.Kind() != bencode.Dict {
		return addr, ""
	}
	host := ""
	port := int64(-1)
	for key := range d.Dict {
		switch string(key) {
		case "ip":
			host = ""
			if b := bytesOf(d); len(b) <= maxHostName {
				host = string(b)
			}
		case "port":
			port = intOf(d)
		}
	}
	if port <= 0 || port > 65535 {
		return addr, ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap().WithZone(""), uint16(port)), ""
	}
	if !isHostName(host) {
		return addr, ""
	}
	return addr, net.JoinHostPort(strings.ToLower(host), strconv.FormatInt(port, 10))
}

// maxHostName is the length of the longest DNS name in bytes.
const maxHostName = 253

// isHostName reports whether s has the form of a DNS name of a host. The last label of a name
// has a letter: without one, some resolvers take the name for an IPv4 address.
func isHostName(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return !strings.HasPrefix(labels[len(labels)-1], "0x") && strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r > '9' })
}

// ParseScrapeAnswer parses the response to an HTTP scrape (BEP 48). The entries are in
// the order of the response. The errors are those of [ParseAnnounceAnswer].
func ParseScrapeAnswer(b []byte) ([]tracker.ScrapeEntry, error) {
	var out []tracker.ScrapeEntry
	var failure tracker.FailureError
	failed, answered := false, false
	d := bencode.NewDecoder(b, answerLimits)
	for key := range d.Dict {
		switch string(key) {
		case "failure reason":
			failure.Reason, failed = textOf(d), true
		case "retry in":
			failure.RetryIn, failure.Never = retryOf(d)
		case "files":
			if d.Kind() != bencode.Dict {
				continue
			}
			answered = true
			for hash := range d.Dict {
				if len(hash) != len(spate.InfoHash{}) || d.Kind() != bencode.Dict {
					continue
				}
				out = append(out, scrapeEntryOf(d, spate.InfoHash(hash)))
			}
		}
	}
	switch {
	case d.Err() != nil:
		return nil, d.Err()
	case failed:
		return nil, &failure
	case !answered:
		return nil, fmt.Errorf("scrape: %w", ErrNotAnswer)
	}
	return out, nil
}

func scrapeEntryOf(d *bencode.Decoder, h spate.InfoHash) tracker.ScrapeEntry {
	e := tracker.ScrapeEntry{InfoHash: h, Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown}
	for key := range d.Dict {
		switch string(key) {
		case "complete":
			e.Complete = countOf(d)
		case "downloaded":
			e.Downloaded = countOf(d)
		case "incomplete":
			e.Incomplete = countOf(d)
		}
	}
	return e
}
