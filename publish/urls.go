package publish

import (
	"net/url"
	"strings"
)

// The paths of a release below the site's base URL. They are part of what spate
// promises: links to them are handed out and written into torrents, so they
// never change. Every path is percent-encoded and starts with a slash.

// PagePath is where people read about the release: /r/NAME.
func PagePath(name string) string { return "/r/" + url.PathEscape(name) }

// TorrentPath is where its .torrent lies: /t/NAME.torrent.
func TorrentPath(name string) string { return "/t/" + url.PathEscape(name) + ".torrent" }

// DownloadPath is where the data lies: /d/NAME for a single file, and
// /d/NAME/dir/file for the file at path inside a tree.
func DownloadPath(name string, path ...string) string {
	var b strings.Builder
	b.WriteString("/d/")
	b.WriteString(url.PathEscape(name))
	for _, part := range path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(part))
	}
	return b.String()
}

// WebSeedURL is what the torrent names as its web seed (BEP 19): the file's own
// URL for a single file, and for a tree the folder to which clients append the
// torrent's name and the path of each file. It is empty without a base.
func WebSeedURL(base *url.URL, name string, single bool) string {
	if base == nil {
		return ""
	}
	if single {
		return Absolute(base, DownloadPath(name))
	}
	return Absolute(base, "/d/")
}

// Absolute joins the site's base URL, which may have a path of its own, and one
// of the encoded paths of this file.
func Absolute(base *url.URL, encodedPath string) string {
	b := *base
	b.RawQuery, b.Fragment, b.RawFragment, b.User = "", "", "", nil
	return strings.TrimRight(b.String(), "/") + encodedPath
}
