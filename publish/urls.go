package publish

import (
	"net/url"
	"strings"

	"spate/metainfo"
)

// The functions below return the paths of a release relative to the site's base URL. The
// paths must never change, because links and torrents contain them. Every path is
// percent-encoded and starts with a slash. REF is a reference (see [ParseRef]).

// PagePath returns the path of the release page: /r/REF.
func PagePath(ref string) string { return "/r/" + url.PathEscape(ref) }

// TorrentPath returns the path of the .torrent file: /t/REF.torrent.
func TorrentPath(ref string) string { return "/t/" + url.PathEscape(ref) + ".torrent" }

// TwinPath returns the path of the v1 torrent for older clients: /t1/REF.torrent.
func TwinPath(ref string) string { return "/t1/" + url.PathEscape(ref) + ".torrent" }

// V2HashesPath returns the path of the v2 hashes of a v1 torrent: /t/REF.v2.
func V2HashesPath(ref string) string { return "/t/" + url.PathEscape(ref) + metainfo.V2HashesExtension }

// MetalinkPath returns the path of the Metalink: /m/REF.meta4.
func MetalinkPath(ref string) string { return "/m/" + url.PathEscape(ref) + ".meta4" }

// ChecksumsPath returns the path of the SHA-256 sums of the files: /r/REF/SHA256SUMS.
func ChecksumsPath(ref string) string { return PagePath(ref) + "/SHA256SUMS" }

// DownloadPath returns the path of the data: /d/REF for a single file, and /d/REF/dir/file
// for the file at path inside a tree.
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

// FilePath returns the [DownloadPath] of f, a file of r, with the reference ref of r.
func (r *Release) FilePath(ref string, f *File) string {
	if r.Single {
		return DownloadPath(ref)
	}
	return DownloadPath(ref, strings.Split(f.Path, "/")...)
}

// WebSeedPath returns the path of the web seed of a torrent (BEP 19). For a single file this is
// the path of the data. For a tree it is the path of the folder /w/REF/, to which clients append
// the name of the torrent and the path of a file. ref must name the version exactly, because
// the torrent is still in use when there is a newer version.
func WebSeedPath(ref string, single bool) string {
	if single {
		return DownloadPath(ref)
	}
	return "/w/" + url.PathEscape(ref) + "/"
}

// WebSeedURL returns the URL with [WebSeedPath], or "" without a base.
func WebSeedURL(base *url.URL, ref string, single bool) string {
	if base == nil {
		return ""
	}
	return Absolute(base, WebSeedPath(ref, single))
}

// Absolute appends one of the encoded paths above to the base URL of the site, which may
// have a path.
func Absolute(base *url.URL, encodedPath string) string {
	b := *base
	b.RawQuery, b.ForceQuery, b.Fragment, b.RawFragment, b.User = "", false, "", "", nil
	return strings.TrimRight(b.String(), "/") + encodedPath
}
