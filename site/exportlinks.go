package site

import (
	"net/url"
	"slices"
	"strings"

	"spate/internal/lang"
	"spate/publish"
)

// visits collects the links to the site on the pages of an export, and names their files. It is
// nil if the site is served.
type visits struct {
	wanted func(encoded string) // called for each link
	names  *exportNames
	latest map[string]string // references of the newest versions -> the references in their nice addresses
}

// tree returns the folder of the pages of a language in an export, such as "/de". It returns "" for
// English.
func tree(l *lang.Language) string {
	if l.English() {
		return ""
	}
	return "/" + l.Code
}

// cutTree splits an encoded path in an export into the language and the path of the site.
func cutTree(languages *lang.Languages, encoded string) (*lang.Language, string) {
	for _, one := range languages.All[1:] {
		if rest, ok := strings.CutPrefix(encoded, tree(one)+"/"); ok {
			return one, "/" + rest
		}
	}
	return languages.English(), encoded
}

// isPage reports whether an encoded path of the site is that of a page, of which there is one in each
// language.
func isPage(encoded string) bool {
	path, _, _ := strings.Cut(encoded, "?")
	ref, ok := strings.CutPrefix(path, "/r/")
	ref = strings.TrimSuffix(ref, "/files")
	return path == "/" || ok && !strings.Contains(ref, "/")
}

// link returns the path in an export for an encoded path, which may have a query. A web server
// for files ignores queries, so that ?group=G&from=30 becomes /group=G/from=30/. A path of a page becomes
// that in the language.
func (v *visits) link(l *lang.Language, encoded string) string {
	if v == nil {
		return encoded
	}
	folder := ""
	if isPage(encoded) {
		folder, encoded = tree(l), v.short(l, encoded)
	}
	path, query, ok := strings.Cut(encoded, "?")
	if ok && !strings.HasPrefix(path, "/static/") {
		q, _ := url.ParseQuery(query)
		path = strings.TrimSuffix(path, "/")
		for _, name := range []string{"all", "q", "group", "from"} {
			if value := q.Get(name); value != "" {
				path += "/" + name + "=" + url.PathEscape(value)
			}
		}
		encoded = path + "/"
	}
	encoded = folder + encoded
	v.wanted(encoded)
	return v.names.encoded(encoded)
}

// short returns the path of the page of a newest version without its version and with its nice address, because
// the pages of a language other than English exist under one address only.
func (v *visits) short(l *lang.Language, encoded string) string {
	ref, ok := strings.CutPrefix(encoded, "/r/")
	if !ok || l.English() {
		return encoded
	}
	end := strings.IndexAny(ref, "/?")
	if end < 0 {
		end = len(ref)
	}
	exact, err := url.PathUnescape(ref[:end])
	if to := v.latest[exact]; err == nil && to != "" {
		return publish.PagePath(to) + ref[end:]
	}
	return encoded
}

// request returns the path of the site, with its query, for an encoded path of an export.
func (v *visits) request(encoded string) string {
	path, query, _ := strings.Cut(encoded, "?")
	q, _ := url.ParseQuery(query)
	parts := strings.Split(path, "/")
	names := 0 // number of path elements at the start that are no parameters
	if len(parts) > 2 && slices.Contains([]string{"r", "t", "t1", "m"}, parts[1]) {
		names = 3
	}
	var kept []string
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if ok && i >= names && slices.Contains([]string{"all", "q", "group", "from"}, name) {
			if decoded, err := url.PathUnescape(value); err == nil {
				q.Set(name, decoded)
				continue
			}
		}
		kept = append(kept, part)
	}
	path = strings.Join(kept, "/")
	if len(q) == 0 {
		return path
	}
	if path != "/" && len(kept) != len(parts) {
		path = strings.TrimSuffix(path, "/")
	}
	if path == "" {
		path = "/"
	}
	return path + "?" + q.Encode()
}

// relink changes the URLs of the site at base in info to those of the exported files.
func (v *visits) relink(info *publish.ReleaseInfo, base string) {
	list := []*string{
		&info.PageURL, &info.TorrentURL, &info.DownloadURL, &info.MetalinkURL, &info.ChecksumsURL,
		&info.TorrentURLTwin, &info.TorrentSignatureURL, &info.ChecksumsSignatureURL,
	}
	for i := range info.Files {
		list = append(list, &info.Files[i].DownloadURL)
	}
	for _, u := range list {
		if path, ok := strings.CutPrefix(*u, base); ok {
			*u = base + v.names.encoded(path)
		}
	}
}
