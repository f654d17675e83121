package site

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"spate/internal/units"
	"spate/publish"
)

// The feeds are RSS 2.0 and Atom (RFC 4287). The items of the RSS feed enclose the .torrent,
// so that BitTorrent clients can subscribe to it (BEP 36).

type rssFeed struct {
	XMLName xml.Name   `xml:"rss"`
	Version string     `xml:"version,attr"`
	Channel rssChannel `xml:"channel"`
}

type rssChannel struct {
	Title       string    `xml:"title"`
	Link        string    `xml:"link"`
	Description string    `xml:"description"`
	Generator   string    `xml:"generator"`
	Items       []rssItem `xml:"item"`
}

type rssItem struct {
	Title       string       `xml:"title"`
	Link        string       `xml:"link"`
	Description string       `xml:"description"`
	GUID        rssGUID      `xml:"guid"`
	Date        string       `xml:"pubDate"`
	Enclosure   rssEnclosure `xml:"enclosure"`
	Torrent     rssTorrent   `xml:"http://xmlns.ezrss.it/0.1/ torrent"`
}

type rssGUID struct {
	IsLink bool   `xml:"isPermaLink,attr"`
	ID     string `xml:",chardata"`
}

type rssEnclosure struct {
	URL    string `xml:"url,attr"`
	Length int    `xml:"length,attr"` // size of the .torrent, in bytes
	Type   string `xml:"type,attr"`
}

// rssTorrent holds the elements that BEP 36 adds.
type rssTorrent struct {
	FileName string `xml:"fileName"`
	Length   int64  `xml:"contentLength"` // size of the data, in bytes
	InfoHash string `xml:"infoHash"`
	Magnet   string `xml:"magnetURI"`
}

// rss answers /feed.xml.
func (s *Site) rss(w http.ResponseWriter, r *http.Request) {
	s.shareXML(w, r, "application/rss+xml", feedQuery(r), s.rssFeed)
}

// rssFeed returns the RSS feed of list.
func (s *Site) rssFeed(base *url.URL, list []*publish.Release, numbers numbersOf) any {
	feed := rssFeed{Version: "2.0", Channel: rssChannel{Title: s.opts.Title, Link: s.absolute(base, "/"),
		Description: "Releases of " + s.opts.Title, Generator: "spate"}}
	for _, rel := range list {
		feed.Channel.Items = append(feed.Channel.Items, rssItem{
			Title: titleOf(rel), Link: s.absolute(base, publish.PagePath(rel.Ref())),
			Description: summary(rel, numbers(rel)),
			GUID:        rssGUID{ID: "urn:btih:" + rel.Hash().String()},
			Date:        rel.Published.UTC().Format(time.RFC1123Z),
			Enclosure:   rssEnclosure{s.absolute(base, publish.TorrentPath(rel.Ref())), rel.TorrentSize, "application/x-bittorrent"},
			Torrent:     rssTorrent{rel.StoredName(), rel.Size, rel.Hash().String(), rel.Magnet},
		})
	}
	return feed
}

// feedQuery returns the query for a feed: the newest releases in all versions and variants.
// If the request has the parameter group, the feed contains only this group.
func feedQuery(r *http.Request) publish.Query {
	return publish.Query{All: true, Group: clip(r.URL.Query().Get("group"), 200), Limit: perFeed}
}

// titleOf returns the name of a release with its label.
func titleOf(rel *publish.Release) string {
	title := display(rel.Name)
	if l := label(rel); l != "" {
		title += " (" + l + ")"
	}
	return title
}

// summary describes a release in a line of text.
func summary(rel *publish.Release, n numbers) string {
	line := fmt.Sprintf("%s, %s.", units.Bytes(rel.Size), units.Plural(rel.NumFiles, "file"))
	if n.Problem != "" {
		line += " Not available from the publisher now: " + n.Problem + "."
	} else if n.State == publish.StatePaused {
		line += " Paused by the publisher."
	}
	if rel.Comment != "" {
		line += " " + display(rel.Comment)
	}
	return line
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	ID      string     `xml:"id"`
	Title   string     `xml:"title"`
	Updated string     `xml:"updated"`
	Summary string     `xml:"summary"`
	Links   []atomLink `xml:"link"`
}

type atomLink struct {
	Rel    string `xml:"rel,attr"`
	Type   string `xml:"type,attr,omitempty"`
	Href   string `xml:"href,attr"`
	Length int    `xml:"length,attr,omitempty"`
}

// atom answers /atom.xml.
func (s *Site) atom(w http.ResponseWriter, r *http.Request) {
	s.shareXML(w, r, "application/atom+xml", feedQuery(r), s.atomFeed)
}

// atomFeed returns the Atom feed of list.
func (s *Site) atomFeed(base *url.URL, list []*publish.Release, numbers numbersOf) any {
	home := s.absolute(base, "/")
	feed := atomFeed{ID: home, Title: s.opts.Title, Author: s.opts.Title, Updated: time.Unix(0, 0).UTC().Format(time.RFC3339),
		Links: []atomLink{{Rel: "self", Href: s.absolute(base, "/atom.xml")}, {Rel: "alternate", Type: "text/html", Href: home}}}
	for i, rel := range list {
		at := rel.Published.UTC().Format(time.RFC3339)
		if i == 0 {
			feed.Updated = at
		}
		feed.Entries = append(feed.Entries, atomEntry{
			ID: "urn:btih:" + rel.Hash().String(), Title: titleOf(rel), Updated: at, Summary: summary(rel, numbers(rel)),
			Links: []atomLink{
				{Rel: "alternate", Type: "text/html", Href: s.absolute(base, publish.PagePath(rel.Ref()))},
				{Rel: "enclosure", Type: "application/x-bittorrent", Href: s.absolute(base, publish.TorrentPath(rel.Ref())), Length: rel.TorrentSize},
			},
		})
	}
	return feed
}
