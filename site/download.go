package site

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"spate"
	"spate/internal/httpcontent"
	"spate/metainfo"
	"spate/publish"
)

// download answers /d/REF and /d/REF/path with the data, for browsers, for curl, and for
// peers that use it as a web seed (BEP 19).
func (s *Site) download(w http.ResponseWriter, r *http.Request) {
	s.sendFile(w, r, filePath(r), false)
}

// webSeed answers /w/REF/NAME/path. Clients make these URLs from the web seed of a tree.
func (s *Site) webSeed(w http.ResponseWriter, r *http.Request) {
	name, path, _ := strings.Cut(filePath(r), "/")
	if rel, err := s.catalog.Get(r.Context(), r.PathValue("name")); err == nil && rel.Name != name {
		s.fail(w, r, http.StatusNotFound, "No such file", "The torrent of this release has another name.")
		return
	}
	s.sendFile(w, r, path, false)
}

// sendFile answers with the file at path in the release that the request names. If view is set, the
// browser shows the file instead of saving it.
func (s *Site) sendFile(w http.ResponseWriter, r *http.Request, path string, view bool) {
	crossOrigin(w.Header())
	name := r.PathValue("name")
	rel := s.find(w, r, name)
	if rel == nil {
		return
	}
	h := w.Header()
	s.setLinks(h, rel, name)
	i, ok := rel.Lookup(path)
	pad := padLength(rel, path)
	kind := ""
	if view {
		pad = 0
		if ok {
			kind = viewType(storedName(rel, i))
		}
		ok = kind != ""
	}
	switch {
	case ok && rel.Single == (path == "") && !(rel.Single && strings.HasSuffix(r.URL.Path, "/")):
		pad = 0
	case pad > 0:
	case path == "" && !rel.Single:
		// A tree has no single file to send, so redirect to the page that lists its files.
		redirect(w, http.StatusSeeOther, s.path(publish.PagePath(name)))
		return
	default:
		s.fail(w, r, http.StatusNotFound, "No such file", "The release has no file of that name.")
		return
	}
	if pad == 0 && s.refusePaused(w, r, rel) {
		return
	}
	if pad == 0 && s.leaveToSwarm(w, r, rel, i) {
		return
	}
	out := newSender(w, r, s)
	out.slot = s.downloads.enter(out.ctx, s.opts.Wait, s.networkOf(r), out.end)
	if out.slot == nil {
		out.close()
		if pad > 0 {
			s.busy(w, r)
		} else {
			s.busyWith(w, r, rel, i)
		}
		return
	}
	defer out.close()
	out.sent = s.sentBy(rel.Hash())
	if fromPage(r) {
		out.pages = &s.sentPages
	}
	if pad > 0 {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "public, max-age=86400")
		h.Set("ETag", `"`+path+`"`)
		s.serve(out, r, rel.Published, io.NewSectionReader(zeros{}, 0, pad), pad)
		return
	}
	if off, _, ok := singleRange(r.Header.Get("Range"), rel.Files[i].Length); ok && s.opts.Sending != nil && s.byTorrentClient(r) != "" {
		out.passed = s.opts.Sending(rel, i, off)
	}
	s.sendData(out, r, rel, i, kind)
}

// refusePaused answers that the release is paused, or that nothing is sent at present, and reports
// whether this is so.
func (s *Site) refusePaused(w http.ResponseWriter, r *http.Request, rel *publish.Release) bool {
	if rel.Paused {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, http.StatusServiceUnavailable, "Paused", "The publisher has paused this release and may resume it at any time. You can still download it by BitTorrent from peers that have the data.")
	}
	if rel.Paused || s.opts.Paused == nil || !s.opts.Paused() {
		return rel.Paused
	}
	w.Header().Set("Retry-After", "600")
	s.fail(w, r, http.StatusServiceUnavailable, "Paused", "The publisher sends nothing at this time. You can still download this release by BitTorrent from peers that have the data.")
	return true
}

// serve sends content of size bytes with out.
func (s *Site) serve(out *sender, r *http.Request, modified time.Time, content io.ReadSeeker, size int64) {
	httpcontent.Serve(out, r, modified, content, size)
	if out.unanswered() {
		s.busy(out.ResponseWriter, r)
		return
	}
	out.start()
}

// storedName returns the name under which a browser saves file i of a release.
func storedName(rel *publish.Release, i int) string {
	if rel.Single {
		return rel.StoredName()
	}
	path := rel.Files[i].Path
	return metainfo.SafeName(path[strings.LastIndexByte(path, '/')+1:])
}

// sendData sends file i of a release with out. kind is the media type with which the browser shows the
// file; if it is "", the browser saves the file.
func (s *Site) sendData(out *sender, r *http.Request, rel *publish.Release, i int, kind string) {
	content, err := s.opts.Open(r.Context(), rel, i)
	if err != nil {
		s.refuse(out.ResponseWriter, r, rel, i, err)
		return
	}
	defer content.Close()

	file, h := &rel.Files[i], out.Header()
	if kind == "" {
		out.begun = s.begin(rel)
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", disposition(storedName(rel, i)))
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	} else {
		setViewHeaders(h, kind)
	}
	h.Set("Cache-Control", "public, no-cache")
	if rel.Summed {
		h.Set("Repr-Digest", reprDigest(file.SHA256))
	}
	h.Set("ETag", fmt.Sprintf(`"%s-%d"`, rel.Hash(), i))
	out.content = content
	s.serve(out, r, file.ModTime, content.ReadSeeker, file.Length)
	if errors.Is(out.err, publish.ErrChanged) {
		s.opts.Log.Warn("site: a file changed while it was sent", "release", rel.Name, "file", file.Path, "err", out.err)
		panic(http.ErrAbortHandler) // break the connection, so that the client does not take the file for complete
	}
	if whole := out.status == http.StatusOK && out.err == nil && out.total == file.Length && r.Method == http.MethodGet && kind == ""; whole && s.opts.Direct != nil {
		s.opts.Direct(rel.Hash())
	}
}

// begin returns the function that reports to Options.Begun that a visitor downloads rel, or nil.
func (s *Site) begin(rel *publish.Release) func() {
	if s.opts.Begun == nil {
		return nil
	}
	return func() { s.opts.Begun(rel.Hash()) }
}

// padLength returns the length of the pad file at path, or 0 if path is not that of a pad
// file. The pad files of a hybrid torrent (BEP 47) do not exist on disk, but clients that
// do not support them, such as aria2, request them from a web seed like other files.
func padLength(rel *publish.Release, path string) int64 {
	digits, ok := strings.CutPrefix(path, ".pad/")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n <= 0 || n >= rel.PieceLength || rel.Single || rel.HashV1.IsZero() || strconv.FormatInt(n, 10) != digits {
		return 0
	}
	return n
}

// zeros is an endless file of zeros.
type zeros struct{}

// ReadAt implements [io.ReaderAt].
func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// refuse answers with the reason why the site does not send file i of rel.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, rel *publish.Release, i int, err error) {
	s.opts.Log.Warn("site: a published file is not served", "release", rel.Name, "file", rel.Files[i].Path, "err", err)
	w.Header().Set("Retry-After", "60") // the file may come back
	switch {
	case errors.Is(err, publish.ErrUnchecked):
		s.fail(w, r, http.StatusServiceUnavailable, "The file is being checked", "A program has touched the publisher's copy, so the site sends it only after its data was checked. Try again in a minute. You can still download it by BitTorrent from peers that have the data.")
	case errors.Is(err, publish.ErrChanged):
		s.fail(w, r, http.StatusServiceUnavailable, "The file changed", "The publisher's copy has changed since it was published (%s), so the site does not send it until the data is restored. You can still download it by BitTorrent from peers that have the data.", err.Error())
	default:
		s.fail(w, r, http.StatusServiceUnavailable, "The file cannot be read", "The site cannot read the publisher's copy: %s. You can still download it by BitTorrent from peers that have the data.", err.Error())
	}
}

// exposed lists the response headers that scripts of other sites may read. A web seed in a
// browser needs them.
const exposed = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, Content-Type, ETag, Last-Modified, Link, Repr-Digest, Retry-After"

// crossOrigin sets headers that allow scripts of all sites to read the response. Published
// data is public, and responses do not depend on the visitor.
func crossOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", exposed)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// preflight answers OPTIONS. A browser sends it before a script may send Range and other
// headers.
func (s *Site) preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	crossOrigin(h)
	h.Set("Allow", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "*, Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, "+
		"Cache-Control, Pragma, Content-Type, User-Agent, X-Requested-With")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// sentBy returns the byte counter for direct downloads of a release. It creates one for the
// first download.
func (s *Site) sentBy(ih spate.InfoHash) *atomic.Int64 {
	if c, ok := s.sent.Load(ih); ok {
		return c.(*atomic.Int64)
	}
	c, _ := s.sent.LoadOrStore(ih, new(atomic.Int64))
	return c.(*atomic.Int64)
}

// Sent returns the number of bytes of the release that direct downloads have sent.
func (s *Site) Sent(ih spate.InfoHash) int64 {
	if c, ok := s.sent.Load(ih); ok {
		return c.(*atomic.Int64).Load()
	}
	return 0
}

// SentToPages returns the number of bytes of SentAll that downloads in pages asked for.
func (s *Site) SentToPages() int64 { return s.sentPages.Load() }

// SentAll returns the number of bytes that all direct downloads have sent.
func (s *Site) SentAll() int64 { return s.sentAll.Load() }
