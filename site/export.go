package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"spate/internal/atomicfile"
	"spate/internal/folder"
	"spate/publish"
)

// ExportOptions are the options of [Export].
type ExportOptions struct {
	// Site holds the options of the pages. BaseURL, the URL of the exported files, is
	// required. The pages have no live numbers.
	Site Options
	// Copy copies the data of the releases. Without it, Export creates links to the data.
	Copy bool
	// Skipped is called for each file that could not be written; nil: no call.
	Skipped func(path string, why error)
}

// Exported is the result of [Export].
type Exported struct {
	Releases, Files int
}

// Export writes the site of the releases in catalog to the directory dir, as files for any
// web server: every page that the index links to, the torrents, signatures and feeds, and
// links to the data. When all files are written, Export replaces the old content of dir in
// one step. If dir contains a file that Export did not write, the error is [ErrForeign].
func Export(ctx context.Context, catalog publish.Catalog, dir string, opts ExportOptions) (Exported, error) {
	var done Exported
	if opts.Site.BaseURL == nil {
		return done, errors.New("site: an export needs the base URL of the site")
	}
	if dir == "" {
		return done, errors.New("site: an export needs a directory")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return done, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // keep a symbolic link at dir
	}
	if err := exportable(dir); err != nil {
		return done, err
	}
	opts.Site.Swarm, opts.Site.Origin, opts.Site.State, opts.Site.StatsPath = nil, nil, nil, ""
	s, err := New(catalog, opts.Site)
	if err != nil {
		return done, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return done, err
	}
	tmp, err := atomicfile.MkdirTemp(filepath.Dir(dir))
	if err != nil {
		return done, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return done, err
	}
	e := &export{ctx: ctx, site: s, catalog: catalog, opts: opts, dir: tmp, seen: map[string]bool{}}
	e.names = newExportNames(tmp)
	s.visits = &visits{e.wanted, e.names, map[string]string{}}
	if err := e.run(); err != nil {
		return e.done, err
	}
	var trees []string
	for _, l := range s.languages.All[1:] {
		trees = append(trees, tree(l))
	}
	if err := writeSnippets(tmp, dir, s.opts.BaseURL.Path, trees); err != nil {
		return e.done, err
	}
	if err := writeMade(tmp, e.made); err != nil {
		return e.done, err
	}
	return e.done, replaceDir(tmp, dir)
}

// export is an export in progress. The site calls wanted for every link on a page, and run
// writes the files for these links until none is left.
type export struct {
	ctx     context.Context
	site    *Site
	catalog publish.Catalog
	opts    ExportOptions
	dir     string
	names   *exportNames
	seen    map[string]bool // encoded paths
	todo    []string
	made    []string // written files, relative to dir
	done    Exported
}

// wanted adds an encoded path, which may have a query, to the files to write.
func (e *export) wanted(encoded string) {
	if !e.seen[encoded] {
		e.seen[encoded] = true
		e.todo = append(e.todo, encoded)
	}
}

func (e *export) run() error {
	for _, p := range []string{"/", "/index.json", "/feed.xml", "/atom.xml", "/robots.txt", "/sitemap.xml", "/favicon.ico"} {
		e.wanted(p)
	}
	all, _, err := e.catalog.List(e.ctx, publish.Query{All: true})
	if err != nil {
		return err
	}
	latest, err := publish.AreLatest(e.ctx, e.catalog, all)
	if err != nil {
		return err
	}
	for i, rel := range all {
		if family, err := e.catalog.Family(e.ctx, rel.Slug); err == nil && latest[i] && (rel.Variant != "" || len(versions(family)[0]) == 1) {
			e.site.visits.latest[rel.Ref()] = publish.NiceRef(e.catalog, rel.LatestRef()) // otherwise the page without a version lets the visitor choose
		}
		for _, ref := range []string{rel.LatestRef(), rel.Slug} {
			if nice := publish.NiceRef(e.catalog, ref); nice != ref {
				e.site.visits.latest[ref] = nice
				e.wanted(publish.PagePath(nice))
			}
		}
		for _, ref := range slices.Compact([]string{rel.Ref(), rel.LatestRef(), rel.Slug}) {
			e.wanted(publish.PagePath(ref))
		}
	}
	e.done.Releases = len(all)
	for len(e.todo) > 0 {
		next := e.todo[0]
		e.todo = e.todo[1:]
		if err := e.ctx.Err(); err != nil {
			return context.Cause(e.ctx)
		}
		if err := e.one(next); err != nil {
			return err
		}
	}
	return nil
}

// one writes the file for one encoded path.
func (e *export) one(encoded string) error {
	u, err := url.Parse(encoded)
	if err != nil {
		return nil // not a link of the site
	}
	if rest, ok := strings.CutPrefix(u.Path, "/d/"); ok {
		return e.data(u.Path, rest)
	}
	l, at := cutTree(e.site.languages, encoded)
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, e.site.visits.request(at), nil)
	if err != nil {
		return err
	}
	if !l.English() {
		q := req.URL.Query()
		q.Set("lang", l.Code)
		req.URL.RawQuery = q.Encode()
	}
	req.Header.Set("Accept", "text/html")
	got := &recorded{header: http.Header{}}
	e.site.mux.ServeHTTP(got, req)
	if got.status != http.StatusOK && got.status != 0 {
		if got.status == http.StatusNotFound || got.status == http.StatusServiceUnavailable {
			return nil // for example checksums that are not computed yet
		}
		return fmt.Errorf("%s: the site answers %d", encoded, got.status)
	}
	file := u.Path
	if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		file = strings.TrimSuffix(file, "/") + "/index.html"
	}
	if ref, ok := strings.CutPrefix(encoded, "/r/"); ok && !strings.Contains(ref, "/") && e.own(ref) {
		e.beside(ref)
	}
	return e.write(file, func(path string) error { return os.WriteFile(path, got.body.Bytes(), 0o644) })
}

// own reports whether an encoded reference has the slug of its release. The documents beside the page of
// another address are those of the slug.
func (e *export) own(encoded string) bool {
	ref, err := url.PathUnescape(encoded)
	rel, gerr := e.catalog.Get(e.ctx, ref)
	return err == nil && gerr == nil && ownRef(rel, ref) == ref
}

// beside adds files of a release to which its page may have no link.
func (e *export) beside(ref string) {
	page := "/r/" + ref
	for _, p := range []string{"/release.json", "/badge.svg", "/SHA256SUMS", "/SHA256SUMS.minisig", "/minisign.pub", "/qr.svg", "/inpage"} {
		e.wanted(page + p)
	}
	e.wanted("/t/" + ref + ".torrent")
	e.wanted("/t/" + ref + ".torrent.minisig")
	e.wanted("/t/" + ref + ".v2")
	e.wanted("/t/" + ref + ".v2.minisig")
	e.wanted("/t1/" + ref + ".torrent")
	e.wanted("/t1/" + ref + ".torrent.minisig")
	e.wanted("/m/" + ref + ".meta4")
}

// data links or copies the file of a release.
func (e *export) data(file, rest string) error {
	ref, path, _ := strings.Cut(rest, "/")
	rel, err := e.catalog.Get(e.ctx, ref)
	if err != nil {
		return nil
	}
	i, ok := rel.Lookup(path)
	if !ok {
		return nil
	}
	f, err := rel.OpenTouched(i) // because the export makes links to the file
	if err != nil {
		e.skip(file, err)
		return nil
	}
	defer f.Close()
	if rel.Single {
		// A web server sends no Link header with the torrent, so spate get looks for the
		// torrent at this path.
		torrents, err := e.catalog.Torrents(e.ctx, ref)
		if err != nil {
			return err
		}
		if err := e.write(file+".torrent", func(to string) error { return os.WriteFile(to, torrents.Main, 0o644) }); err != nil {
			return err
		}
	}
	return e.write(file, func(to string) error {
		if !e.opts.Copy {
			return link(f, to)
		}
		out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, f)
		return errors.Join(err, out.Close())
	})
}

// link creates a hard link to f at the path to, so that a web server needs no access to the
// directory of f. If that fails, link creates a symbolic link.
func link(f *os.File, to string) error {
	from := filepath.Clean(f.Name())
	if folder.Link(f, from, to) == nil {
		return nil
	}
	return os.Symlink(from, to)
}

// write creates the file for a decoded path of the site, as [exportNames] names it, by calling f.
func (e *export) write(file string, f func(path string) error) error {
	name := filepath.FromSlash(strings.TrimPrefix(e.names.path(file), "/"))
	if !filepath.IsLocal(name) {
		e.skip(file, errors.New("this system has no file of that name"))
		return nil
	}
	path := filepath.Join(e.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		if _, lerr := os.Lstat(path); lerr == nil {
			return nil
		}
		err = f(path)
	}
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		e.skip(file, syscall.ENAMETOOLONG)
		return nil
	case err == nil:
		e.made = append(e.made, name)
		e.done.Files++
	}
	return err
}

func (e *export) skip(path string, why error) {
	if e.opts.Skipped != nil {
		e.opts.Skipped(path, why)
	}
}

// recorded is a response in memory.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (a *recorded) Header() http.Header { return a.header }

// Write implements [http.ResponseWriter].
func (a *recorded) Write(p []byte) (int, error) { return a.body.Write(p) }

// WriteHeader implements [http.ResponseWriter].
func (a *recorded) WriteHeader(status int) { a.status = status }
