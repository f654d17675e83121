package source

import (
	"net/url"
	"strings"
	"testing"

	"spate/internal/fault"
)

// TestMetalink checks which torrent a Metalink names.
func TestMetalink(t *testing.T) {
	t.Parallel()
	const ns = `<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">`
	file := func(inside string) string { return `<file name="a">` + inside + `</file>` }
	torrent := func(u string, attrs ...string) string {
		return `<metaurl mediatype="torrent" ` + strings.Join(attrs, " ") + `>` + u + `</metaurl>`
	}
	for name, c := range map[string]struct {
		in, want string
		code     fault.Code
	}{
		"one":                   {ns + file(torrent("http://h/x.torrent")) + `</metalink>`, "http://h/x.torrent", 0},
		"blanks, entities":      {ns + file(torrent("\n  https://h/x?a=1&amp;b=2\n")) + `</metalink>`, "https://h/x?a=1&b=2", 0},
		"CDATA":                 {ns + file(torrent("<![CDATA[http://h/x]]>")) + `</metalink>`, "http://h/x", 0},
		"relative":              {ns + file(torrent("../t/x.torrent")) + `</metalink>`, "http://base.example/t/x.torrent", 0},
		"a magnet link":         {ns + file(torrent("magnet:?xt=urn:btih:1")) + `</metalink>`, "magnet:?xt=urn:btih:1", 0},
		"the same twice":        {ns + file(torrent("http://h/x")) + file(torrent("http://h/x")) + `</metalink>`, "http://h/x", 0},
		"by priority":           {ns + file(torrent("http://h/9", `priority="9"`)+torrent("http://h/1", `priority="1"`)+torrent("http://h/0", `priority="0"`)+torrent("http://h/none")) + `</metalink>`, "http://h/1", 0},
		"version 3":             {`<metalink version="3.0"><files>` + file(`<resources><url type="bittorrent">http://h/x</url></resources>`) + `</files></metalink>`, "http://h/x", 0},
		"version 3, preference": {`<metalink><files>` + file(`<url type="bittorrent" preference="5">http://h/5</url><url type="bittorrent" preference="95">http://h/95</url>`) + `</files></metalink>`, "http://h/95", 0},
		"other metaurls":        {ns + file(`<metaurl mediatype="application/x-other">http://h/o</metaurl><url>http://h/data</url>`+torrent("http://h/x")) + `</metalink>`, "http://h/x", 0},
		"ftp, then http":        {ns + file(torrent("ftp://h/x")) + file(torrent("http://h/x")) + `</metalink>`, "http://h/x", 0},
		"two torrents":          {ns + file(torrent("http://h/x")) + file(torrent("http://h/y")) + `</metalink>`, "", fault.Failed},
		"none":                  {ns + file(`<url>http://h/data</url>`) + `</metalink>`, "", fault.NotFound},
		"file scheme":           {ns + file(torrent("file:///etc/passwd")) + `</metalink>`, "", fault.NotFound},
		"no host":               {ns + file(torrent("http:///x")) + `</metalink>`, "", fault.NotFound},
		"outside of files":      {ns + torrent("http://h/x") + `</metalink>`, "", fault.NotFound},
		"cut":                   {ns + file(torrent("http://h/x")), "", fault.BadData},
		"cut in the URL":        {ns + `<file><metaurl mediatype="torrent">http://h/x`, "", fault.BadData},
		"not XML":               {"<metalink & <", "", fault.BadData},
		"empty":                 {"", "", fault.NotFound},
		"unknown entity":        {ns + file(torrent("&x;")) + `</metalink>`, "", fault.BadData},
	} {
		base, _ := url.Parse("http://base.example/m/x.meta4")
		u, err := metalinkTorrent([]byte(c.in), base, "x.meta4")
		if fault.CodeOf(err) != c.code || err == nil && u.String() != c.want {
			t.Errorf("%s: %v, %v; want %s, code %d", name, u, err, c.want, c.code)
		}
	}
}

// FuzzMetalink checks that a torrent that a Metalink names is a URL or a magnet link.
func FuzzMetalink(f *testing.F) {
	f.Add([]byte(`<metalink><file name="a"><metaurl mediatype="torrent" priority="1">http://h/x</metaurl></file></metalink>`))
	f.Add([]byte(`<metalink><files><file><url type="bittorrent" preference="7">magnet:?x</url></file></files></metalink>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := metalinkTorrent(b, nil, "x")
		if err == nil && u.Scheme != "magnet" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			t.Fatalf("%q names %s", b, u)
		}
	})
}
