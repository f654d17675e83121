package feed

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, name, contentType string) *Feed {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse("https://base.example/feeds/" + name)
	f, err := Parse(b, contentType, base)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

// TestFeedsOfPrograms reads feeds as the programs of indexes, libraries, distributions, blogs and sites
// write them, with wrong types, other charsets and namespaces.
func TestFeedsOfPrograms(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	type item struct {
		ID, Title, Page, Published, Source, Hash string
		Size                                     int64
	}
	for _, test := range []struct {
		file, contentType, title string
		want                     []item
	}{
		{"index.rss", "application/xml", "Index - Home - Torrent File RSS", []item{{
			"https://index.example/view/1000001", "[Group] A Film & More - 01 (1080p) [ABCDEF01].mkv", "", "2026-11-30T12:00:00Z",
			"https://index.example/download/1000001.torrent", hash, 1503238553,
		}}},
		{"library.xml", "text/html; charset=us-ascii", "Library: audio", []item{{
			"https://library.example/details/concert1998", "A Concert of 1998", "https://library.example/details/concert1998", "2026-11-29T08:15:00Z",
			"https://library.example/download/concert1998/concert1998_archive.torrent", "", 0,
		}}},
		{"distribution.atom", "", "Distribution images", []item{
			{
				"tag:distribution.example,2026:13.2.0", "distribution-13.2.0-amd64 netinst.iso", "https://base.example/News/2026/13.2.0", "2026-11-30T09:00:00Z",
				"https://base.example/feeds/bt/distribution-13.2.0-amd64-netinst.iso.torrent", "", 700_000_000,
			},
			{"urn:btih:89abcdef0123456789abcdef0123456789abcdef", "Only <i>a</i> page", "https://distribution.example/page", "2026-11-01T00:00:00Z", "", "89abcdef0123456789abcdef0123456789abcdef", 0},
		}},
		{"blog.xml", "text/xml", "Das Ländle", []item{{
			"http://blog.example/?p=7", "Müller’s Lieder", "http://blog.example/?p=7", "0001-01-01T00:00:00Z", "magnet:?xt=urn:btih:" + hash + "&dn=Lieder", hash, 0,
		}}},
		{"rdf.xml", "application/rdf+xml; charset=iso-8859-1", "Old", []item{{"http://old.example/1", "One", "", "2026-11-30T10:00:00Z", "http://old.example/1.torrent", "", 0}}},
		{"bep36.xml", "application/rss+xml", "Site", []item{
			{"urn:btih:" + hash, "data 1.10", "", "0001-01-01T00:00:00Z", "http://site.example/t/data~1.torrent", hash, 5_000_000},
			{"", "only a hash", "", "0001-01-01T00:00:00Z", "magnet:?xt=urn:btih:0123456789ABCDEF0123456789ABCDEF01234568", "0123456789abcdef0123456789abcdef01234568", 0},
			{"", "a proxy", "https://proxy.example/dl?id=5", "0001-01-01T00:00:00Z", "https://proxy.example/dl?id=5", "0123456789abcdef0123456789abcdef01234569", 5_000_000_001},
		}},
	} {
		f := parsed(t, test.file, test.contentType)
		var got []item
		for _, i := range f.Items {
			h := ""
			if !i.InfoHash.IsZero() {
				h = i.InfoHash.String()
			}
			got = append(got, item{i.ID, i.Title, i.Page, i.Published.Format(time.RFC3339), i.Source, h, i.Size})
		}
		if diff := cmp.Diff(test.want, got); diff != "" || f.Title != test.title {
			t.Errorf("%s: %q %s", test.file, f.Title, diff)
		}
	}
	f := parsed(t, "library.xml", "")
	if f.Every != time.Hour || !f.SkipHours[0] || !f.SkipHours[3] || f.SkipHours[1] || !f.SkipDays[time.Sunday] || f.SkipDays[time.Monday] {
		t.Errorf("times: %v %v %v", f.Every, f.SkipHours, f.SkipDays)
	}
}

// TestHostileFeeds checks that entities, depth, size and numbers of items are bounded, and that other
// documents are no feeds.
func TestHostileFeeds(t *testing.T) {
	t.Parallel()
	bomb := `<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>` +
		`<rss version="2.0"><channel><item><title>t &b;&x;</title></item></channel></rss>`
	f, err := Parse([]byte(bomb), "", nil)
	if err != nil || len(f.Items) != 1 || strings.Contains(f.Items[0].Title, "aaaa") || strings.Contains(f.Items[0].Title, "root") {
		t.Errorf("entities: %+v, %v", f, err)
	}
	deep := "<rss><channel>" + strings.Repeat("<a>", 1000)
	if _, err := Parse([]byte(deep), "", nil); !errors.Is(err, errDeep) {
		t.Errorf("depth: %v", err)
	}
	if _, err := Parse(make([]byte, MaxSize+1), "", nil); !errors.Is(err, ErrTooLong) {
		t.Errorf("size: %v", err)
	}
	many := "<rss><channel>" + strings.Repeat("<item><title>x</title></item>", MaxItems+5) + "</channel></rss>"
	if f, err := Parse([]byte(many), "", nil); err != nil || len(f.Items) != MaxItems || f.Skipped != 5 {
		t.Errorf("items: %v", err)
	}
	long := "<rss><channel><item><title>" + strings.Repeat("y", 1<<20) + "</title></item></channel></rss>"
	if f, err := Parse([]byte(long), "", nil); err != nil || len(f.Items[0].Title) > maxText {
		t.Errorf("text: %v", err)
	}
	for _, other := range []string{"", "<html><body>Sign in</body></html>", `{"version":"1"}`, "<feed><entry/></feed>", "\x00\xff", "<?xml version='1.0' encoding='klingon'?>\xff"} {
		if f, err := Parse([]byte(other), "", nil); err == nil {
			t.Errorf("%q is a feed: %+v", other, f)
		}
	}
	cut := `<rss><channel><item><title>whole</title><link>http://a.example/a.torrent</link></item><item><title>cu`
	if f, err := Parse([]byte(cut), "", nil); err != nil || len(f.Items) != 1 {
		t.Errorf("a feed that is cut: %+v, %v", f, err)
	}
	for _, source := range []string{"file:///etc/passwd.torrent", "ftp://a.example/x.torrent", "/x.torrent", "javascript:x.torrent"} {
		f, err := Parse(fmt.Appendf(nil, `<rss><channel><item><title>t</title><enclosure url=%q type="application/x-bittorrent"/></item></channel></rss>`, source), "", nil)
		if err != nil || f.Items[0].Source != "" {
			t.Errorf("%s: %+v, %v", source, f, err)
		}
	}
}

// TestRules checks what rules want, and why not.
func TestRules(t *testing.T) {
	t.Parallel()
	i := Item{Title: "Debian-13.2.0 (amd64) netinst, Café", Size: 700, Source: "magnet:"}
	for _, test := range []struct {
		rule Rule
		why  string // "": wanted
	}{
		{Rule{}, ""},
		{Rule{All: []string{"debian", "AMD64", "café"}}, ""},
		{Rule{All: []string{"amd64 netinst"}}, ""},
		{Rule{All: []string{"netinst amd64"}}, `its title has no "netinst amd64"`},
		{Rule{All: []string{"deb"}}, `its title has no "deb"`},
		{Rule{All: []string{"deb*", "net?nst"}}, ""},
		{Rule{Any: []string{"arm64", "amd64"}}, ""},
		{Rule{Any: []string{"arm64", "s390x"}}, `its title has none of "arm64", "s390x"`},
		{Rule{Not: []string{"netinst"}}, `its title has "netinst"`},
		{Rule{MinSize: 701}, "700 B is below 701 B"},
		{Rule{MaxSize: 699}, "700 B is above 699 B"},
		{Rule{MinSize: 700, MaxSize: 700}, ""},
		{Rule{Newer: true}, "version 13.2.0 is not newer than 13.10"},
	} {
		known := Versions{}
		known.Note("debian 13.10 AMD64 netinst café")
		known.Note("Debian 13.9 amd64 netinst café")
		if err := test.rule.Check(); err != nil {
			t.Errorf("%+v: %v", test.rule, err)
		}
		if why, ok := test.rule.Wants(&i, known); why != test.why || ok != (test.why == "") {
			t.Errorf("%+v: %q, %v", test.rule, why, ok)
		}
	}
	if why, ok := (&Rule{MinSize: 1}).Wants(&Item{Title: "x", Source: "magnet:"}, nil); ok || why != "the feed does not say its size" {
		t.Errorf("an item without a size: %q", why)
	}
	if _, ok := (&Rule{}).Wants(&Item{Title: "x"}, nil); ok {
		t.Error("an item without a torrent is wanted")
	}
	for _, bad := range []Rule{{All: []string{" "}}, {Not: []string{strings.Repeat("x", 500)}}, {MinSize: 2, MaxSize: 1}, {MinSize: -1}, {Any: make([]string, 101)}} {
		if bad.Check() == nil {
			t.Errorf("%+v is allowed", bad)
		}
	}
}

// FuzzParse checks that no document makes the parser fail otherwise than by an error, and that its
// results are bounded.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "text/xml; charset=iso-8859-15")
	}
	base, _ := url.Parse("http://base.example/")
	f.Fuzz(func(t *testing.T, b []byte, contentType string) {
		feed, err := Parse(b, contentType, base)
		if err != nil {
			return
		}
		if len(feed.Items) > MaxItems {
			t.Fatalf("%d items", len(feed.Items))
		}
		for _, i := range feed.Items {
			if len(i.Title) > maxText+len("…") || len(i.Source) > 4*maxText {
				t.Fatalf("an item has %d and %d bytes", len(i.Title), len(i.Source))
			}
			if i.Source != "" && !isMagnet(i.Source) && !strings.HasPrefix(i.Source, "http") {
				t.Fatalf("the source is %q", i.Source)
			}
			(&Rule{All: []string{"a*"}, Newer: true}).Wants(&i, Versions{})
		}
	})
}
