package source

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"spate/internal/fault"
)

// The types and names of Metalinks of version 4 (RFC 5854) and of version 3.
var (
	metalinkTypes = []string{"application/metalink4+xml", "application/metalink+xml"}
	metalinkNames = []string{".meta4", ".metalink"}
)

// isMetalink reports whether b begins like a Metalink.
func isMetalink(b []byte) bool {
	head := bytes.TrimSpace(bytes.TrimPrefix(b[:min(len(b), 4<<10)], []byte("\ufeff")))
	return bytes.HasPrefix(head, []byte("<")) && bytes.Contains(head, []byte("<metalink"))
}

// metalinkTorrent returns the only torrent that a Metalink names. base is the URL of the
// Metalink, or nil if it has none. Errors call the Metalink name.
func metalinkTorrent(b []byte, base *url.URL, name string) (*url.URL, error) {
	found, err := metalinkTorrents(b)
	if err != nil {
		return nil, fault.New(fault.BadData, "it is damaged: fetch it again", "%s: not a readable Metalink: %w", name, err)
	}
	var links []string
	for _, s := range found {
		u, err := url.Parse(s)
		if err == nil && base != nil {
			u = base.ResolveReference(u)
		}
		if err != nil || u.Scheme != "magnet" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			continue
		}
		links = appendNew(links, u.String())
	}
	if len(links) == 0 {
		return nil, fault.New(fault.NotFound, "give the .torrent, or the URL of a page that links to it", "the Metalink %s names no torrent", name)
	}
	return onlyLink(links, name)
}

// metalinkTorrents returns the URL of the torrent of each file in a Metalink. Of several
// torrents of one file it returns the one with the best priority.
func metalinkTorrents(b []byte) (list []string, err error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	best, priority := "", 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "file" {
				best, priority = "", math.MaxInt
			}
			order, ok := torrentPriority(t)
			if !ok {
				continue
			}
			var text string
			if err := d.DecodeElement(&text, &t); err != nil {
				return nil, err
			}
			if text = strings.TrimSpace(text); text != "" && (best == "" || order < priority) {
				best, priority = text, order
			}
		case xml.EndElement:
			if t.Name.Local == "file" && best != "" && !slices.Contains(list, best) {
				list = append(list, best)
			}
		}
	}
}

// torrentPriority reports whether t is the URL of a torrent, and returns its priority. A
// smaller number is better (RFC 5854, 4.2.10).
func torrentPriority(t xml.StartElement) (priority int, ok bool) {
	priority = math.MaxInt
	for _, a := range t.Attr {
		switch {
		case a.Name.Local == "priority": // version 4
			if n, err := strconv.Atoi(a.Value); err == nil && n > 0 {
				priority = n
			}
		case a.Name.Local == "preference": // version 3: from 0 to 100, which is best
			if n, err := strconv.Atoi(a.Value); err == nil && 0 <= n && n <= 100 {
				priority = 100 - n
			}
		case a.Name.Local == "mediatype":
			ok = ok || t.Name.Local == "metaurl" && a.Value == "torrent"
		case a.Name.Local == "type":
			ok = ok || t.Name.Local == "url" && a.Value == "bittorrent"
		}
	}
	return priority, ok
}
