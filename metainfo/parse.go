package metainfo

import (
	"hash/maphash"
	"net"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/bencode"
	"spate/internal/units"
)

// parser parses one torrent. It first reads the top level and the info dictionary,
// where it only counts the entries of file lists. It then reads the file lists, and
// finally the piece layers.
type parser struct {
	o        Options
	b        []byte
	base     int // added to the offsets in errors and warnings
	d        *bencode.Decoder
	m        *MetaInfo
	warnings []Warning
	err      *Error

	announce   string
	layersAt   int // offset of the value of "piece layers", or -1
	v2HashesAt int // offset of the value of "v2 hashes", or -1
	info       infoSpans
	memory     int // remaining budget of Limits.Names
	keys       keySet
	names      nameArena
	decoder    decoder
	hash       pathHasher
	fileCount  int // number of files and links, without pad files
	linkCount  int // number of symbolic links with a target
}

// Parse is like the function [Parse] with the options o.
func (o Options) Parse(b []byte) (*MetaInfo, error) {
	size := o.Limits.Size
	setDefault(&size, MaxSize)
	if len(b) > size {
		return nil, tooLarge(int64(len(b)), size)
	}
	p := newParser(o, b)
	p.m.raw = b
	if p.top() {
		p.finish()
	}
	return p.result()
}

// FromInfo is like the function [FromInfo] with the options o.
func (o Options) FromInfo(raw []byte) (*MetaInfo, error) {
	size := o.Limits.Size
	setDefault(&size, MaxSize)
	if len(raw) > size {
		return nil, tooLarge(int64(len(raw)), size)
	}
	p := newParser(o, raw)
	p.infoDict()
	if p.d.Err() == nil && len(p.d.Rest()) > 0 {
		p.fail("info", p.d.Offset(), "bytes after the end")
	}
	if p.syntax("info", p.d) {
		p.finish()
	}
	return p.result()
}

func newParser(o Options, b []byte) *parser {
	o = o.withDefaults(len(b))
	return &parser{
		o: o, b: b, m: new(MetaInfo), layersAt: -1, v2HashesAt: -1, memory: o.Limits.Names, hash: pathHasher{seed: maphash.MakeSeed()},
		d: bencode.NewDecoder(b, bencode.Options{Tokens: o.Limits.Tokens, Depth: o.Limits.Nesting}),
	}
}

func (p *parser) result() (*MetaInfo, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.m.Warnings = p.warnings
	return p.m, nil
}

// top reads the top-level dictionary.
func (p *parser) top() bool {
	if p.d.Kind() != bencode.Dict {
		return p.fail("", 0, "not a torrent: it does not start with a dictionary")
	}
	seen := false
	for key := range p.d.Dict {
		at := p.d.Offset()
		switch {
		case string(key) != "info":
			p.topKey(key, at)
		case seen:
			p.fail("info", at, "duplicate key")
		default:
			seen = true
			p.nested()
		}
	}
	if !p.syntax("", p.d) {
		return false
	}
	if !seen {
		return p.fail("info", -1, "missing")
	}
	p.warnOrder()
	if n := len(p.d.Rest()); n > 0 {
		p.m.Trailing = n
		p.warn("", p.d.Offset(), units.Plural(n, "byte")+" after the end of the torrent")
	}
	return true
}

// warnOrder warns about unsorted and duplicate keys outside of the info dictionary.
func (p *parser) warnOrder() {
	if off := p.d.Unsorted(); off >= 0 {
		p.warn("", off, "keys are not sorted")
	}
	if off := p.d.Duplicate(); off >= 0 {
		p.warn("", off, "duplicate key")
	}
}

// nested reads the info dictionary inside the torrent. The order of the keys inside it
// is checked separately from the order outside.
func (p *parser) nested() {
	p.warnOrder()
	p.d.ForgetOrder()
	p.infoDict()
	p.d.ForgetOrder()
}

// topKey reads the value of a top-level key other than info. A value of the wrong type
// is ignored with a warning, because the data can be downloaded without it.
func (p *parser) topKey(name []byte, at int) {
	m := p.m
	switch key := string(name); key {
	case "announce":
		p.announce = strings.TrimSpace(p.whole(key, MaxURL))
	case "announce-list":
		p.announceList(at)
	case "url-list":
		m.WebSeeds = p.texts(key)
	case "httpseeds":
		m.HTTPSeeds = p.texts(key)
	case "nodes":
		p.nodes(at)
	case "comment.utf-8", "comment":
		p.prefer(&m.Comment, key)
	case "created by.utf-8", "created by":
		p.prefer(&m.CreatedBy, key)
	case "creation date":
		p.creationDate(at)
	case "encoding":
		m.Encoding = p.text(key, MaxText)
		p.decoder.setCharset(m.Encoding)
	case "similar":
		m.Similar = p.similar(key)
	case "collections":
		m.Collections = p.texts(key)
	case "piece layers":
		p.layersAt = at
	case keyV2Hashes:
		p.v2HashesAt = at
	}
}

// prefer reads a text, which finish makes valid UTF-8. The variant with the suffix .utf-8 takes
// precedence.
func (p *parser) prefer(dst *string, key string) {
	if s := string(p.rawText(key, MaxText)); *dst == "" || strings.HasSuffix(key, ".utf-8") {
		*dst = s
	}
}

// is reports whether the next value has kind k. If not it warns, and the caller's loop
// skips the value.
func (p *parser) is(k bencode.Kind, field string) bool {
	got := p.d.Kind()
	if got != k && got != bencode.Invalid {
		p.warn(field, p.d.Offset(), "ignored: "+got.String()+" instead of "+k.String())
	}
	return got == k
}

// text reads an optional string, cuts it to most bytes and makes it valid UTF-8.
func (p *parser) text(field string, most int) string {
	return strings.ToValidUTF8(string(p.rawText(field, most)), "?")
}

// rawText is like text, but returns the bytes of the torrent.
func (p *parser) rawText(field string, most int) []byte {
	if !p.is(bencode.String, field) {
		return nil
	}
	at := p.d.Offset()
	raw := p.d.Bytes()
	if len(raw) > most {
		p.warn(field, at, "longer than "+units.Plural(most, "byte")+": truncated")
		raw = raw[:most]
	}
	return raw
}

// whole is like text, but ignores strings of more than most bytes instead of cutting them,
// because a part of a URL is useless.
func (p *parser) whole(field string, most int) string {
	if !p.is(bencode.String, field) {
		return ""
	}
	at := p.d.Offset()
	raw := p.d.Bytes()
	if len(raw) > most {
		p.warn(field, at, "longer than "+units.Plural(most, "byte")+": ignored")
		return ""
	}
	return strings.ToValidUTF8(string(raw), "?")
}

// texts reads an optional list of strings, or a single string. It ignores empty strings and
// strings that are too long for a URL.
func (p *parser) texts(field string) []string {
	var list []string
	add := func() {
		at := p.d.Offset()
		switch s := strings.TrimSpace(p.whole(field, MaxURL)); {
		case s == "":
		case len(list) >= p.o.Limits.List:
			p.limit(field, at, "more than %s", units.Plural(len(list), "entry"))
		default:
			list = append(list, s)
		}
	}
	if p.d.Kind() == bencode.String {
		add()
	} else if p.is(bencode.List, field) {
		for range p.d.List {
			add()
		}
	}
	return list
}

// announceList reads the tiers of trackers (BEP 12). A string instead of a tier counts
// as a tier with one tracker.
func (p *parser) announceList(at int) {
	const field = "announce-list"
	if !p.is(bencode.List, field) {
		return
	}
	var tiers [][]string
	n := 0
	for range p.d.List {
		tier := p.texts(field)
		n += len(tier)
		if n > p.o.Limits.List {
			p.limit(field, at, "more than %s", units.Plural(p.o.Limits.List, "tracker"))
		}
		if len(tier) > 0 {
			tiers = append(tiers, tier)
		}
	}
	p.m.AnnounceList = tiers
}

// nodes reads the DHT nodes (BEP 5), which are pairs of host and port.
func (p *parser) nodes(at int) {
	const field = "nodes"
	if !p.is(bencode.List, field) {
		return
	}
	for range p.d.List {
		var host string
		port, n := int64(-1), 0
		if !p.is(bencode.List, field) {
			continue
		}
		for range p.d.List {
			n++
			switch {
			case n == 1 && p.is(bencode.String, field):
				host = p.whole(field, 255)
			case n == 2 && p.is(bencode.Int, field):
				port = p.d.Int()
			}
		}
		switch {
		case host == "" || port <= 0 || port > 65535:
			p.warn(field, at, "a node without host and port is ignored")
		case len(p.m.Nodes) >= p.o.Limits.List:
			p.limit(field, at, "more than %s", units.Plural(p.o.Limits.List, "entry"))
		default:
			p.m.Nodes = append(p.m.Nodes, net.JoinHostPort(host, strconv.FormatInt(port, 10)))
		}
	}
}

// similar reads a list of info-hashes (BEP 38).
func (p *parser) similar(field string) []spate.InfoHash {
	var list []spate.InfoHash
	if !p.is(bencode.List, field) {
		return nil
	}
	for range p.d.List {
		at := p.d.Offset()
		if !p.is(bencode.String, field) {
			continue
		}
		switch h := p.d.Bytes(); {
		case len(h) != len(spate.InfoHash{}):
			p.warn(field, at, "an entry that is not an info-hash is ignored")
		case len(list) >= p.o.Limits.List:
			p.limit(field, at, "more than %s", units.Plural(len(list), "entry"))
		default:
			list = append(list, spate.InfoHash(h))
		}
	}
	return list
}

// lastDate is the last second that can be written in the format of RFC 3339.
const lastDate = 253402300799

func (p *parser) creationDate(at int) {
	if !p.is(bencode.Int, "creation date") {
		return
	}
	switch s := p.d.Int(); {
	case s < 0 || s > lastDate:
		p.warn("creation date", at, "ignored: out of range")
	case s > 0:
		p.m.CreationDate = time.Unix(s, 0).UTC()
	}
}

// finish does the steps that need the complete torrent.
func (p *parser) finish() {
	m := p.m
	for _, s := range []*string{&m.Comment, &m.CreatedBy} {
		text, _ := p.decoder.decode([]byte(*s))
		*s = strings.ToValidUTF8(string(text), "?")
	}
	if len(m.AnnounceList) == 0 && p.announce != "" {
		m.AnnounceList = [][]string{{p.announce}}
	}
	if p.finishInfo() {
		m.computeHashes()
		p.pieceLayers()
		p.v2HashesBeside()
	}
}
