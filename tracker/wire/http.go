package wire

import (
	"net/netip"
	"strconv"

	"spate"
)

// AnnounceReply is the content of a response to an HTTP announce. Intervals are in
// seconds. Peers4 and Peers6 are compact lists (BEP 23, BEP 7).
type AnnounceReply struct {
	Interval, MinInterval            uint32
	Complete, Incomplete, Downloaded uint32
	Peers4, Peers6                   []byte
	ExternalIP                       netip.Addr // BEP 24
	Warning                          string
	// NotCompact encodes the peers of both address families as dictionaries with ip and
	// port (BEP 3). They have no peer ids, because this tracker does not store them.
	NotCompact bool
}

// FailureReply is a refusal of an HTTP request. Intervals are in seconds; 0 omits them.
type FailureReply struct {
	Reason                string
	Interval, MinInterval uint32
	// RetryIn is in minutes (BEP 31); 0 omits it. Never tells clients not to retry.
	RetryIn uint32
	Never   bool
}

// AppendAnnounceReply appends a bencoded response to an HTTP announce. Its keys are
// sorted, because clients may check that.
func AppendAnnounceReply(b []byte, r *AnnounceReply) []byte {
	b = append(b, 'd')
	b = appendIntKey(b, "8:complete", r.Complete)
	b = appendIntKey(b, "10:downloaded", r.Downloaded)
	if r.ExternalIP.IsValid() {
		b = append(b, "11:external ip"...)
		if a := r.ExternalIP.Unmap(); a.Is4() {
			v := a.As4()
			b = appendString(b, v[:])
		} else {
			v := a.As16()
			b = appendString(b, v[:])
		}
	}
	b = appendIntKey(b, "10:incomplete", r.Incomplete)
	b = appendIntKey(b, "8:interval", r.Interval)
	b = appendIntKey(b, "12:min interval", r.MinInterval)
	b = append(b, "5:peers"...)
	if r.NotCompact {
		b = appendPeerDicts(b, r)
	} else {
		b = appendString(b, r.Peers4)
		if len(r.Peers6) > 0 {
			b = append(b, "6:peers6"...)
			b = appendString(b, r.Peers6)
		}
	}
	if r.Warning != "" {
		b = append(b, "15:warning message"...)
		b = appendText(b, r.Warning)
	}
	return append(b, 'e')
}

func appendPeerDicts(b []byte, r *AnnounceReply) []byte {
	b = append(b, 'l')
	for p := r.Peers4; len(p) >= spate.CompactLen4; p = p[spate.CompactLen4:] {
		b = appendPeerDict(b, netip.AddrFrom4([4]byte(p)), p[4:6])
	}
	for p := r.Peers6; len(p) >= spate.CompactLen6; p = p[spate.CompactLen6:] {
		b = appendPeerDict(b, netip.AddrFrom16([16]byte(p)), p[16:18])
	}
	return append(b, 'e')
}

func appendPeerDict(b []byte, a netip.Addr, port []byte) []byte {
	var text [48]byte
	b = append(b, "d2:ip"...)
	b = appendString(b, a.AppendTo(text[:0]))
	b = appendIntKey(b, "4:port", uint32(port[0])<<8|uint32(port[1]))
	return append(b, 'e')
}

// AppendFailure appends a bencoded refusal of an announce or a scrape.
func AppendFailure(b []byte, r *FailureReply) []byte {
	b = append(b, "d14:failure reason"...)
	b = appendText(b, r.Reason)
	if r.Interval > 0 {
		b = appendIntKey(b, "8:interval", r.Interval)
	}
	if r.MinInterval > 0 {
		b = appendIntKey(b, "12:min interval", r.MinInterval)
	}
	switch {
	case r.Never:
		b = append(b, "8:retry in5:never"...)
	case r.RetryIn > 0:
		b = appendIntKey(b, "8:retry in", r.RetryIn)
	}
	return append(b, 'e')
}

// AppendScrapeStart appends the start of a bencoded scrape response (BEP 48). The
// caller then appends entries in the order of their info-hashes, and the end.
func AppendScrapeStart(b []byte) []byte { return append(b, "d5:filesd"...) }

// AppendScrapeEntry appends the counts of one swarm.
func AppendScrapeEntry(b []byte, h spate.InfoHash, complete, downloaded, incomplete uint32) []byte {
	b = appendString(b, h[:])
	b = append(b, 'd')
	b = appendIntKey(b, "8:complete", complete)
	b = appendIntKey(b, "10:downloaded", downloaded)
	b = appendIntKey(b, "10:incomplete", incomplete)
	return append(b, 'e')
}

// AppendScrapeEnd appends the end of a scrape response. minInterval is the minimum time
// in seconds between scrapes; 0 omits it.
func AppendScrapeEnd(b []byte, minInterval uint32) []byte {
	b = append(b, 'e')
	if minInterval > 0 {
		b = append(b, "5:flagsd"...)
		b = appendIntKey(b, "20:min_request_interval", minInterval)
		b = append(b, 'e')
	}
	return append(b, 'e')
}

// appendIntKey appends an integer under a key, which is already bencoded.
func appendIntKey(b []byte, key string, n uint32) []byte {
	b = append(b, key...)
	b = append(b, 'i')
	b = strconv.AppendUint(b, uint64(n), 10)
	return append(b, 'e')
}

func appendIntParam(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

func appendString(b, s []byte) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

func appendText(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}
