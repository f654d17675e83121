package fileserver

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"spate/internal/httpcontent"
)

// Playlist answers with an M3U8 playlist of the media files of a torrent, by path. Their URLs are
// relative: files/PATH, with the query, which may be "".
func Playlist(w http.ResponseWriter, r *http.Request, src Source, id, query string) error {
	t, err := src.Torrent(r.Context(), id)
	if err != nil {
		return err
	}
	list, err := sorted(r.Context(), src, &t)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("#EXTM3U\n")
	for _, f := range list {
		name := f.Path
		if !isMedia(name) {
			continue
		}
		u := url.URL{Path: "files/" + name, RawQuery: query}
		fmt.Fprintf(&out, "#EXTINF:-1,%s\n%s\n", title(name), u.String())
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	httpcontent.Send(w, r, "audio/x-mpegurl; charset=utf-8", out.Bytes())
	return nil
}

// title returns the title of an entry, which is the rest of a line.
func title(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, base)
}
