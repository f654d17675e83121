package feed

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate/internal/units"
	"spate/metainfo"
)

// Namespaces of elements that count beside those without one.
const (
	atomSpace = "http://www.w3.org/2005/Atom"
	rss1Space = "http://purl.org/rss/1.0/"
	rdfSpace  = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	dcSpace   = "http://purl.org/dc/elements/1.1/"
)

// parser reads a feed token by token.
type parser struct {
	base *url.URL
	feed Feed

	stack []string        // local names of the open elements
	text  strings.Builder // of the innermost element that is read
	item  *reading        // nil outside of an item
}

// reading is an item that is being read.
type reading struct {
	Item
	depth    int // of its element
	torrents []string
	links    []string // that may be magnet links or .torrent files
	magnets  []string
	updated  time.Time
	size     int64 // length of an enclosure, which may be that of the .torrent
}

// parse reads a document in UTF-8.
func (p *parser) parse(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict, d.Entity = false, xml.HTMLEntity // feeds of real programs are not always well-formed
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	known := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && known {
			return nil
		}
		if err != nil {
			if !known {
				return ErrNoFeed
			}
			if len(p.feed.Items) > 0 { // the end is missing or broken
				return nil
			}
			return fmt.Errorf("the feed: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(p.stack) == 0 {
				if !isFeed(t.Name) {
					return ErrNoFeed
				}
				known = true
			}
			if len(p.stack) >= maxDepth {
				return errDeep
			}
			p.stack = append(p.stack, t.Name.Local)
			p.start(t)
		case xml.CharData:
			if room := maxText - p.text.Len(); room > 0 {
				p.text.Write(t[:min(len(t), room)])
			}
		case xml.EndElement:
			p.end(t.Name)
			if len(p.stack) > 0 {
				p.stack = p.stack[:len(p.stack)-1]
			}
		}
	}
}

// isFeed reports whether a document with this root is a feed.
func isFeed(n xml.Name) bool {
	switch n.Local {
	case "rss":
		return n.Space == ""
	case "RDF":
		return n.Space == rdfSpace
	case "feed":
		return n.Space == atomSpace
	}
	return false
}

// start handles the begin of an element, which is on the stack.
func (p *parser) start(t xml.StartElement) {
	i := p.item
	if i == nil {
		if (t.Name.Local == "item" || t.Name.Local == "entry") && plain(t.Name.Space) {
			p.item = &reading{depth: len(p.stack)}
			p.item.ID = attr(t, "about") // RSS 1.0
		}
		p.text.Reset()
		return
	}
	if len(p.stack) == i.depth+1 || !isText(p.stack[i.depth]) {
		p.text.Reset()
	}
	switch t.Name.Local {
	case "enclosure":
		if plain(t.Name.Space) {
			p.enclosure(attr(t, "url"), attr(t, "type"), attr(t, "length"))
		}
	case "content": // media:content
		if u := attr(t, "url"); u != "" && !plain(t.Name.Space) {
			p.enclosure(u, attr(t, "type"), attr(t, "fileSize"))
		}
	case "link":
		if href := attr(t, "href"); href != "" && t.Name.Space == atomSpace {
			switch rel := attr(t, "rel"); {
			case rel == "enclosure":
				p.enclosure(href, attr(t, "type"), attr(t, "length"))
			case attr(t, "type") == torrentType:
				i.torrents = append(i.torrents, href)
			case rel == "" || rel == "alternate":
				i.links = append(i.links, href)
			}
		}
	case "attr": // torznab
		p.value(strings.ToLower(attr(t, "name")), attr(t, "value"))
	}
}

// isText reports whether the text of the element includes that of the elements inside of it.
func isText(local string) bool { return local == "title" }

const torrentType = "application/x-bittorrent"

// enclosure handles a file of the item. Its type is often missing or wrong.
func (p *parser) enclosure(u, kind, length string) {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	i := p.item
	switch {
	case isMagnet(u):
		i.magnets = append(i.magnets, u)
	case strings.TrimSpace(kind) == torrentType || isTorrentURL(u):
		i.torrents = append(i.torrents, u)
	default:
		return // a sound or a picture
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(length), 10, 64); err == nil {
		i.size = max(i.size, n)
	}
}

// end handles the end of an element, which is still on the stack.
func (p *parser) end(n xml.Name) {
	text := strings.TrimSpace(p.text.String())
	i := p.item
	if i == nil {
		p.channel(n, text)
		p.text.Reset()
		return
	}
	switch {
	case len(p.stack) == i.depth:
		p.finish()
		p.text.Reset()
		return
	case len(p.stack) > i.depth+1 && isText(p.stack[i.depth]):
		return // the text goes on
	}
	p.text.Reset()
	if text == "" {
		return
	}
	if plain(n.Space) && len(p.stack) == i.depth+1 {
		switch n.Local {
		case "title":
			i.Title = strings.Join(strings.Fields(text), " ")
		case "guid", "id":
			i.ID = text
		case "link":
			i.links = append(i.links, text)
		case "pubDate", "published", "issued":
			i.Published = parseTime(text)
		case "updated", "modified":
			i.updated = parseTime(text)
		case "size":
			p.value("size", text)
		}
		return
	}
	if n.Space == dcSpace && n.Local == "date" {
		i.updated = parseTime(text)
	}
	p.value(strings.ToLower(n.Local), text)
}

// value handles an extension of feeds of torrents, by its name in lower case: those of BEP 36, of Nyaa
// and of Torznab.
func (p *parser) value(name, text string) {
	i := p.item
	switch name {
	case "infohash":
		if m := magnetOf(text); m != "" {
			i.magnets = append(i.magnets, m)
		}
	case "magneturi", "magneturl", "magnet":
		if isMagnet(text) {
			i.magnets = append([]string{text}, i.magnets...)
		}
	case "contentlength", "size":
		if n, err := units.ParseBytes(text); err == nil && n > 0 {
			i.Size = n
		}
	}
}

// magnetOf returns the magnet link of an info-hash in text, or "".
func magnetOf(hash string) string {
	link := "magnet:?xt=urn:btih:" + strings.TrimSpace(hash)
	if _, err := metainfo.ParseMagnet(link); err != nil {
		return ""
	}
	return link
}

// channel handles an element outside of items.
func (p *parser) channel(n xml.Name, text string) {
	depth := len(p.stack)
	switch {
	case text == "" || !plain(n.Space):
	case n.Local == "title" && depth <= 3 && p.feed.Title == "":
		p.feed.Title = strings.Join(strings.Fields(text), " ")
	case n.Local == "ttl":
		if minutes, err := strconv.Atoi(text); err == nil && minutes > 0 {
			p.feed.Every = time.Duration(min(minutes, 7*24*60)) * time.Minute
		}
	case n.Local == "hour" && slices.Contains(p.stack, "skipHours"):
		if h, err := strconv.Atoi(text); err == nil && h >= 0 && h <= 24 {
			p.feed.SkipHours[h%24] = true
		}
	case n.Local == "day" && slices.Contains(p.stack, "skipDays"):
		for d := range p.feed.SkipDays {
			if strings.EqualFold(text, time.Weekday(d).String()) {
				p.feed.SkipDays[d] = true
			}
		}
	}
}

// minData is the length of an enclosure from which it is that of the data, not of the .torrent.
const minData = 10 << 20

// finish adds the item that was read to the feed.
func (p *parser) finish() {
	i := p.item
	p.item = nil
	if len(p.feed.Items) >= MaxItems {
		p.feed.Skipped++
		return
	}
	for k, link := range append(slices.Clone(i.links), i.ID) {
		switch {
		case isMagnet(link):
			i.magnets = append(i.magnets, link)
		case isTorrentURL(link):
			i.torrents = append(i.torrents, link)
		case i.Page == "" && k < len(i.links):
			i.Page = p.absolute(link)
		}
	}
	for _, m := range i.magnets {
		if link, err := metainfo.ParseMagnet(m); err == nil {
			i.InfoHash, i.Source = link.Hash(), m
			if i.Size == 0 {
				i.Size = link.Length
			}
			break
		}
	}
	for _, u := range i.torrents {
		if u = p.absolute(u); u != "" {
			i.Source = u
			break
		}
	}
	if hash, ok := strings.CutPrefix(strings.ToLower(i.ID), "urn:btih:"); ok && i.InfoHash.IsZero() { // of spate sites
		if link, err := metainfo.ParseMagnet(magnetOf(hash)); err == nil {
			i.InfoHash = link.Hash()
		}
	}
	if i.Size == 0 && i.size >= minData {
		i.Size = i.size
	}
	if i.Published.IsZero() {
		i.Published = i.updated
	}
	if i.Title == "" {
		i.Title = i.ID
	}
	p.feed.Items = append(p.feed.Items, i.Item)
}

// absolute returns the http(s) URL that u is relative to the feed, or "".
func (p *parser) absolute(u string) string {
	parsed, err := url.Parse(strings.TrimSpace(u))
	if err != nil {
		return ""
	}
	if p.base != nil {
		parsed = p.base.ResolveReference(parsed)
	}
	if parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return ""
	}
	return parsed.String()
}

// plain reports whether elements of a namespace are those of RSS or Atom.
func plain(space string) bool { return space == "" || space == atomSpace || space == rss1Space }

func isMagnet(s string) bool {
	return len(s) > 7 && strings.EqualFold(s[:7], "magnet:")
}

// isTorrentURL reports whether the path of a URL ends in .torrent.
func isTorrentURL(s string) bool {
	u, err := url.Parse(strings.TrimSpace(s))
	return err == nil && strings.HasSuffix(strings.ToLower(u.Path), ".torrent")
}

// attr returns the value of an attribute by its local name, or "" if there is none or it is too long.
func attr(t xml.StartElement, local string) string {
	for _, a := range t.Attr {
		if a.Name.Local == local && len(a.Value) <= maxText {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// timeLayouts are those of RFC 822, RFC 3339 and what programs write instead.
var timeLayouts = []string{
	time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 06 15:04:05 -0700", "Mon, 2 Jan 2006 15:04 -0700", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", time.DateTime, time.DateOnly,
}

// parseTime parses a date in a usual form, or returns the zero time.
func parseTime(s string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
