package site

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"spate/internal/lang"
	"spate/publish"
)

// indexPage is the data of index.html.
type indexPage struct {
	At         string // encoded path of the page for search engines, or "" for a search
	Query      string
	Group      string
	Groups     []groupLink // nil if there is only one group
	All        bool        // whether all versions and variants are listed
	Searchable bool
	Total      int
	Rows       []indexRow
	Pager      pager
}

// groupLink is a link to the releases of a group, or to all releases.
type groupLink struct {
	Name, Link string
	Count      int
	Here       bool
}

// indexRow is a release on the index.
type indexRow struct {
	Name, Page, Torrent string
	Version, Variant    string // as in releasePage
	Download            string // link to the data, or "" for a tree
	Zip                 string // link to the archive of a tree, or "" in an export
	Size, Files         string
	Variants            []relative // links to the variants, if there are several
	Published           time.Time
	Signed              bool
	Swarm               numbers
	Wave                wave
}

// index answers / with the releases, the newest first. Parameters are q for a search, group,
// all=1 for all versions, and from for the index of the first release.
func (s *Site) index(w http.ResponseWriter, r *http.Request) {
	ask := r.URL.Query()
	q := publish.Query{
		Text: clip(strings.TrimSpace(ask.Get("q")), 200), Group: clip(ask.Get("group"), 200),
		All: ask.Get("all") == "1", Offset: offset(r), Limit: perIndex,
	}
	s.share(w, r, htmlType, q, func(r *http.Request, numbers numbersOf) ([]byte, error) {
		page, err := s.in(r).indexPage(r, q, numbers)
		if err != nil {
			return nil, err
		}
		return s.page(r, "index.html", page)
	})
}

// indexPage returns the page with the releases that q selects.
func (s local) indexPage(r *http.Request, q publish.Query, numbers numbersOf) (indexPage, error) {
	list, first, total, err := s.around(r.Context(), &q)
	if err != nil {
		return indexPage{}, err
	}
	groups, err := s.catalog.Groups(r.Context())
	if err != nil {
		return indexPage{}, err
	}
	page := indexPage{Query: q.Text, Group: q.Group, All: q.All, Total: total, Searchable: s.visits == nil && (q.Text != "" || q.Group != "" || total > 5)}
	left := listBudget
	page.Groups = s.groupLinks(groups, q.Group, &left)
	variants := func(rel *publish.Release) []relative {
		if q.All {
			return nil // they have rows of their own
		}
		return s.rowVariants(r.Context(), rel)
	}
	from, prev, next := pageOf(total, q.Offset, perIndex, left, func(i int) int { return s.rowCost(list[i-first], variants(list[i-first])) })
	end := next
	if next < 0 {
		end = total
	}
	for i := from; i < end; i++ {
		rel := list[i-first]
		row := s.indexRow(rel, q.All, numbers)
		row.Variants = variants(rel)
		page.Rows = append(page.Rows, row)
	}
	keep := url.Values{}
	set := func(name, value string) {
		if value != "" {
			keep.Set(name, value)
		}
	}
	set("q", q.Text)
	set("group", q.Group)
	if q.All {
		keep.Set("all", "1")
	}
	page.Pager = s.pager("/", keep, prev, next)
	if q.Text == "" {
		page.At = listPath("/", keep, from)
	}
	return page, nil
}

// around returns the releases that q selects on the page of q.Offset and before it, as pageOf divides
// them, the number of the first of them, and the number of all that q selects. It makes q.Offset that of
// the last release if there are fewer.
func (s *Site) around(ctx context.Context, q *publish.Query) (list []*publish.Release, first, total int, err error) {
	before := func() int { return max(0, q.Offset-q.Offset%perIndex-perIndex) }
	for {
		near := *q
		near.Offset = before()
		near.Limit = q.Offset - q.Offset%perIndex + perIndex - near.Offset
		list, total, err = s.catalog.List(ctx, near)
		if err != nil {
			return nil, 0, 0, err
		}
		q.Offset = min(q.Offset, max(0, total-1))
		if near.Offset <= before() {
			return list, near.Offset, total, nil
		}
	}
}

// rowCost returns about how many bytes of HTML the row of a release takes.
func (s *Site) rowCost(rel *publish.Release, variants []relative) int {
	n := 1100 + 3*escapedLen(s.prefix+publish.DownloadPath(rel.Ref())) + 3*escapedLen(title(rel))
	for _, v := range variants {
		n += 80 + len(v.Link) + len(v.Name)
	}
	return n
}

// groupLinks returns links to the groups. It stops when they would take more than a quarter of
// left bytes, and subtracts their size from left.
func (s local) groupLinks(groups []publish.GroupCount, here string, left *int) []groupLink {
	if len(groups) < 2 {
		return nil
	}
	all := 0
	for _, g := range groups {
		all += g.Slugs
	}
	links := []groupLink{{Name: s.T("All"), Link: s.path("/"), Count: all, Here: here == ""}}
	budget := *left / 4
	for _, g := range groups {
		if g.Group == "" {
			continue
		}
		link := groupLink{Name: display(g.Group), Link: s.path("/?" + url.Values{"group": {g.Group}}.Encode()), Count: g.Slugs, Here: g.Group == here}
		cost := 120 + len(link.Link) + len(link.Name)
		budget -= cost
		if budget < 0 {
			break
		}
		*left -= cost
		links = append(links, link)
	}
	return links
}

func (s local) indexRow(rel *publish.Release, exact bool, numbers numbersOf) indexRow {
	ref := rel.Slug
	if exact {
		ref = rel.Ref()
	}
	row := indexRow{
		Name: title(rel), Page: s.path(s.pagePath(ref)), Torrent: s.path(publish.TorrentPath(ref)), Version: versionText(s.Language, rel), Variant: display(rel.Variant),
		Size: s.Bytes(rel.Size), Files: s.T("%d files", rel.NumFiles), Published: rel.Published,
		Signed: rel.Signatures.Torrent != "", Swarm: numbers(rel), Wave: waveOf(rel, 48, 48),
	}
	switch {
	case rel.Single:
		row.Download = s.path(publish.DownloadPath(ref))
	case s.visits == nil:
		row.Zip = s.path(zipPath(ref))
	}
	return row
}

// rowVariants returns links to the variants of the newest version of a release, or nil if there is
// only one.
func (s local) rowVariants(ctx context.Context, rel *publish.Release) []relative {
	all, err := s.catalog.Family(ctx, rel.Slug)
	if err != nil || len(all) < 2 {
		return nil
	}
	return s.variantLinks(versions(all)[0], nil, false)
}

// label returns the version and the variant of a release, to distinguish it from others of its
// slug. It leaves out the version "1", which is the default.
func label(rel *publish.Release) string {
	var words []string
	if rel.Version != "1" {
		words = append(words, display(rel.Version))
	}
	if rel.Variant != "" {
		words = append(words, display(rel.Variant))
	}
	return strings.Join(words, " · ")
}

// versionLabel returns the version of a release, or "" for the version "1", which is the default.
func versionLabel(rel *publish.Release) string {
	if rel.Version == "1" {
		return ""
	}
	return display(rel.Version)
}

// versionText returns the version of a release for readers, such as "Version 2". It returns "" for the
// version "1", which is the default, and leaves out the word if the version does not start with a digit.
func versionText(l *lang.Language, rel *publish.Release) string {
	switch v := versionLabel(rel); {
	case v == "":
		return ""
	case v[0] >= '0' && v[0] <= '9':
		return l.T("Version %s", v)
	default:
		return v
	}
}
