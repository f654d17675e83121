package publish

import (
	"net/url"
	"strings"
)

// The paths of a release below the site's base URL. They are part of what spate
// promises: links to them are handed out and written into torrents, so they
// never change. Every path is percent-encoded and starts with a slash. REF is a
// reference to a release (see [ParseRef]): the slug is always the newest version.

// PagePath is where people read about the release: /r/REF.
func PagePath(ref string) string { return "/r/" + url.PathEscape(ref) }

// TorrentPath is where its .torrent lies: /t/REF.torrent.
func TorrentPath(ref string) string { return "/t/" + url.PathEscape(ref) + ".torrent" }

// TwinPath is where the v1 torrent for older clients lies: /t1/REF.torrent.
func TwinPath(ref string) string { return "/t1/" + url.PathEscape(ref) + ".torrent" }

// MetalinkPath is where the Metalink lies: /m/REF.meta4.
func MetalinkPath(ref string) string { return "/m/" + url.PathEscape(ref) + ".meta4" }

// ChecksumsPath is where the SHA-256 sums of the files lie: /r/REF/SHA256SUMS.
func ChecksumsPath(ref string) string { return PagePath(ref) + "/SHA256SUMS" }

// DownloadPath is where the data lies: /d/REF for a single file, and
// /d/REF/dir/file for the file at path inside a tree.
func DownloadPath(ref string, path ...string) string {
	var b strings.Builder
	b.WriteString("/d/")
	b.WriteString(url.PathEscape(ref))
	for _, part := range path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(part))
	}
	return b.String()
}

// FilePath is the [DownloadPath] of f, a file of r, when r is asked for as ref.
func (r *Release) FilePath(ref string, f *File) string {
	if r.Single {
		return DownloadPath(ref)
	}
	return DownloadPath(ref, strings.Split(f.Path, "/")...)
}

// WebSeedURL is what the torrent names as its web seed (BEP 19): the file's own
// URL for a single file, and for a tree the folder /w/REF/ to which clients
// append the torrent's name and the path of each file. ref has to name this very
// version, whose torrent will be about when another is the newest. It is empty
// without a base.
func WebSeedURL(base *url.URL, ref string, single bool) string {
	if base == nil {
		return ""
	}
	if single {
		return Absolute(base, DownloadPath(ref))
	}
	return Absolute(base, "/w/"+url.PathEscape(ref)+"/")
}

// Absolute joins the site's base URL, which may have a path of its own, and one
// of the encoded paths of this file.
func Absolute(base *url.URL, encodedPath string) string {
	b := *base
	b.RawQuery, b.Fragment, b.RawFragment, b.User = "", "", "", nil
	return strings.TrimRight(b.String(), "/") + encodedPath
}
