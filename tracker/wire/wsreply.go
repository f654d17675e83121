package wire

import (
	"math"
	"net/netip"

	"spate"
	"spate/tracker"
)

// maxWSEntries bounds the swarms in the reply to a scrape. Each has more than 60 bytes, so
// that a reply of [MaxWSMessage] has no more.
const maxWSEntries = MaxWSMessage / 60

// ParseWSReply parses a message of a tracker into r. It sets all fields of r, reuses its
// slices, and keeps no reference to b. It ignores unknown keys. The texts in r are cleaned, so
// that a program can show them.
func ParseWSReply(b []byte, r *WSReply) error {
	*r = WSReply{Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown, Takers: tracker.Unknown, Entries: r.Entries[:0], Ranges: r.Ranges[:0]}
	if len(b) > MaxWSMessage {
		return ErrWSTooLarge
	}
	p := wsParser{in: b}
	var has wsKeys
	p.object(func(key []byte) { p.replyField(r, &has, string(key)) })
	switch {
	case p.end() != nil:
		return p.err
	case !has.action:
		return ErrWSAction
	case (r.Offer != "" || r.Answer != "") && !has.offerID:
		return ErrWSOffer
	case (r.Offer != "" || r.Answer != "") && !has.peerID:
		return ErrNoPeerID
	}
	return nil
}

func (p *wsParser) replyField(r *WSReply, has *wsKeys, key string) {
	switch key {
	case "action":
		has.action = p.action(&r.Action)
	case "info_hash":
		p.bytes20((*[20]byte)(&r.InfoHash), ErrInfoHash)
	case "peer_id":
		has.peerID = p.bytes20((*[20]byte)(&r.PeerID), ErrPeerID)
	case "failure reason":
		r.Failure = CleanText(p.text(MaxWSMessage))
	case "warning message":
		r.Warning = CleanText(p.text(MaxWSMessage))
	case "retry in":
		if p.peek() == '"' {
			r.Never = p.text(16) == "never"
		} else {
			r.RetryIn = p.count32()
		}
	case "tracker id":
		r.TrackerID = p.text(maxText)
	case "interval":
		r.Interval = p.count32()
	case "min interval":
		r.MinInterval = p.count32()
	case "complete":
		r.Complete = p.count()
	case "incomplete":
		r.Incomplete = p.count()
	case "downloaded":
		r.Downloaded = p.count()
	case "takers":
		r.Takers = p.count()
	case "ranges":
		r.Ranges = r.Ranges[:0]
		p.array(func() { p.rangePeer(r) })
	case "offer":
		r.Offer = p.description("offer")
	case "answer":
		r.Answer = p.description("answer")
	case "offer_id":
		has.offerID = p.bytes20((*[20]byte)(&r.OfferID), ErrWSOffer)
	case "files":
		r.Entries = r.Entries[:0]
		p.object(func(key []byte) { p.entry(r, key) })
	default:
		p.skip(0)
	}
}

// rangePeer parses an element of ranges. It ignores those that are not an address or too many.
func (p *wsParser) rangePeer(r *WSReply) {
	ap, err := netip.ParseAddrPort(p.text(64))
	if err == nil && ap.Port() != 0 && ap.Addr().Zone() == "" && len(r.Ranges) < MaxWSRanges {
		r.Ranges = append(r.Ranges, ap)
	}
}

// entry parses a member of files, whose key is the info-hash.
func (p *wsParser) entry(r *WSReply, key []byte) {
	e := tracker.ScrapeEntry{Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown}
	if !latin20((*[20]byte)(&e.InfoHash), key) || len(r.Entries) == maxWSEntries {
		p.fail(ErrInfoHash)
		return
	}
	p.object(func(key []byte) {
		switch string(key) {
		case "complete":
			e.Complete = p.count()
		case "incomplete":
			e.Incomplete = p.count()
		case "downloaded":
			e.Downloaded = p.count()
		default:
			p.skip(0)
		}
	})
	r.Entries = append(r.Entries, e)
}

// count parses the number of peers or downloads; a negative number or null is
// [tracker.Unknown].
func (p *wsParser) count() int {
	return int(max(min(p.number(tracker.Unknown), math.MaxInt32), tracker.Unknown))
}

// count32 parses a number of seconds or minutes.
func (p *wsParser) count32() uint32 { return uint32(max(min(p.number(0), math.MaxInt32), 0)) }

// AppendWSRequest appends the message for r.
func AppendWSRequest(b []byte, r *WSRequest) []byte {
	b = append(b, `{"action":"`...)
	b = append(b, r.Action.String()...)
	b = append(b, '"')
	if r.Action == WSScrape {
		switch len(r.Hashes) {
		case 0:
		case 1:
			b = appendWSBytes(b, "info_hash", r.Hashes[0][:])
		default:
			b = append(b, `,"info_hash":[`...)
			for i := range r.Hashes {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendLatin(b, r.Hashes[i][:])
			}
			b = append(b, ']')
		}
		return append(b, '}')
	}
	b = appendWSBytes(b, "info_hash", r.InfoHash[:])
	b = appendWSBytes(b, "peer_id", r.PeerID[:])
	if r.TrackerID != "" {
		b = appendWSText(b, "trackerid", r.TrackerID)
	}
	if r.Answer != "" {
		b = appendWSBytes(b, "to_peer_id", r.ToPeer[:])
		b = appendWSBytes(b, "offer_id", r.AnswerTo[:])
		return append(appendDescription(append(b, ','), "answer", r.Answer), '}')
	}
	b = appendIntParam(b, `,"uploaded":`, r.Uploaded)
	b = appendIntParam(b, `,"downloaded":`, r.Downloaded)
	if r.Left >= 0 { // the tracker of npm takes null for 0
		b = appendIntParam(b, `,"left":`, r.Left)
	}
	if r.Event != tracker.EventNone {
		b = appendWSText(b, "event", r.Event.String())
	}
	if r.NumWant >= 0 {
		b = appendIntParam(b, `,"numwant":`, int64(r.NumWant))
	}
	if r.Twice {
		b = append(b, `,"twice":true`...)
	}
	if r.Ranges {
		b = append(b, `,"ranges":true`...)
	}
	if len(r.Offers) > 0 {
		b = append(b, `,"offers":[`...)
		for i := range r.Offers {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendDescription(append(b, '{'), "offer", r.Offers[i].SDP)
			b = append(appendWSBytes(b, "offer_id", r.Offers[i].ID[:]), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// AppendWSReply appends the message for r. It leaves out counts that are [tracker.Unknown].
func AppendWSReply(b []byte, r *WSReply) []byte {
	b = append(b, `{"action":"`...)
	b = append(b, r.Action.String()...)
	b = append(b, '"')
	if r.InfoHash != (spate.InfoHash{}) {
		b = appendWSBytes(b, "info_hash", r.InfoHash[:])
	}
	if r.Failure != "" {
		b = appendWSText(b, "failure reason", r.Failure)
		if r.Never {
			b = append(b, `,"retry in":"never"`...)
		} else if r.RetryIn > 0 {
			b = appendIntParam(b, `,"retry in":`, int64(r.RetryIn))
		}
	}
	if r.Warning != "" {
		b = appendWSText(b, "warning message", r.Warning)
	}
	if r.TrackerID != "" {
		b = appendWSText(b, "tracker id", r.TrackerID)
	}
	switch {
	case r.Offer != "":
		b = appendDescription(append(b, ','), "offer", r.Offer)
	case r.Answer != "":
		b = appendDescription(append(b, ','), "answer", r.Answer)
	case r.Action == WSScrape:
		return append(appendWSEntries(b, r), '}')
	default:
		if r.Interval > 0 {
			b = appendIntParam(b, `,"interval":`, int64(r.Interval))
		}
		if r.MinInterval > 0 {
			b = appendIntParam(b, `,"min interval":`, int64(r.MinInterval))
		}
		b = appendWSCounts(b, ',', r.Complete, r.Incomplete, r.Downloaded)
		if r.Takers >= 0 {
			b = appendIntParam(b, `,"takers":`, int64(r.Takers))
		}
		b = appendWSRanges(b, r.Ranges)
		return append(b, '}')
	}
	b = appendWSBytes(b, "offer_id", r.OfferID[:])
	return append(appendWSBytes(b, "peer_id", r.PeerID[:]), '}')
}

// appendWSRanges appends the peers that serve ranges, each as ip:port.
func appendWSRanges(b []byte, all []netip.AddrPort) []byte {
	for i, ap := range all {
		if i == 0 {
			b = append(b, `,"ranges":["`...)
		} else {
			b = append(b, `","`...)
		}
		b = ap.AppendTo(b)
	}
	if len(all) > 0 {
		b = append(b, `"]`...)
	}
	return b
}

// appendWSEntries appends the swarms of a scrape, and the time until the next one.
func appendWSEntries(b []byte, r *WSReply) []byte {
	if r.Failure != "" {
		return b
	}
	b = append(b, `,"files":{`...)
	for i := range r.Entries {
		e := &r.Entries[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendLatin(b, e.InfoHash[:]), ':')
		b = append(appendWSCounts(b, '{', e.Complete, e.Incomplete, e.Downloaded), '}')
	}
	b = append(b, '}')
	if r.MinInterval > 0 {
		b = append(appendIntParam(b, `,"flags":{"min_request_interval":`, int64(r.MinInterval)), '}')
	}
	return b
}

// appendWSCounts appends the counts that are known, each after a separator. The first
// separator is sep.
func appendWSCounts(b []byte, sep byte, complete, incomplete, downloaded int) []byte {
	start := len(b)
	for i, n := range [...]int{complete, incomplete, downloaded} {
		if n >= 0 {
			b = appendIntParam(b, [...]string{`,"complete":`, `,"incomplete":`, `,"downloaded":`}[i], int64(n))
		}
	}
	if len(b) > start {
		b[start] = sep
	} else if sep == '{' {
		b = append(b, sep)
	}
	return b
}

// appendDescription appends the object of an offer or answer with its key.
func appendDescription(b []byte, kind, sdp string) []byte {
	b = append(b, '"')
	b = append(b, kind...)
	b = append(b, `":{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","sdp":`...)
	return append(appendJSONText(b, sdp), '}')
}

// appendWSBytes appends a comma, a key and a binary string.
func appendWSBytes(b []byte, key string, v []byte) []byte {
	b = append(b, `,"`...)
	b = append(b, key...)
	return appendLatin(append(b, `":`...), v)
}

// appendWSText appends a comma, a key and a text.
func appendWSText(b []byte, key, v string) []byte {
	b = append(b, `,"`...)
	b = append(b, key...)
	return appendJSONText(append(b, `":`...), v)
}
