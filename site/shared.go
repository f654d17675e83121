package site

import (
	"context"
	"net/http"
	"sync"
	"time"

	"spate/internal/httpcontent"
	"spate/publish"
)

// Limits of the documents that the site keeps.
const (
	maxDocuments     = 64
	maxDocumentBytes = 32 << 20
)

// A document is an answer that depends only on the list of releases and their numbers: the
// index, the feeds and the sitemap. The site keeps documents, so that many visitors cause no
// more work than one. It makes a document again if the catalog has changed since, or if the
// numbers in it have.
type document struct {
	data     []byte
	etag     string
	revision uint64             // of the catalog, read before the document was made
	releases []*publish.Release // the releases whose numbers are in the document
	numbers  []numbers          // the numbers in the document, of releases
	at       time.Time          // when the numbers were last read
}

// documentKey identifies a document.
type documentKey struct {
	path  string        // without the path of the base URL
	lang  string        // code of the language of a page; "" for other documents
	base  string        // the URL of the site in the document
	query publish.Query // the releases in the document
}

// documents holds documents by key.
type documents struct {
	mu    sync.Mutex
	by    map[documentKey]*documentSlot
	bytes int    // of all documents
	clock uint64 // number of requests
}

// documentSlot is the place of a document.
type documentSlot struct {
	turn chan struct{} // contains an element while a request uses doc
	doc  *document     // nil until it was made

	used  uint64 // value of documents.clock at the last request; guarded by documents.mu
	bytes int    // of doc; guarded by documents.mu
}

// slot returns the slot for key.
func (d *documents) slot(key documentKey) *documentSlot {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil {
		d.by = map[documentKey]*documentSlot{}
	}
	at := d.by[key]
	if at == nil {
		at = &documentSlot{turn: make(chan struct{}, 1)}
		d.by[key] = at
	}
	d.clock++
	at.used = d.clock
	d.trimLocked()
	return at
}

// sized records the size of the document in the slot for key.
func (d *documents) sized(key documentKey, at *documentSlot, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by[key] != at {
		return // the slot was dropped while the document was made
	}
	d.bytes += bytes - at.bytes
	at.bytes = bytes
	d.trimLocked()
}

// trimLocked drops the documents that were not requested for the longest time until the limits
// hold.
func (d *documents) trimLocked() {
	for len(d.by) > maxDocuments || d.bytes > maxDocumentBytes {
		var oldest documentKey
		var least *documentSlot
		for key, at := range d.by {
			if least == nil || at.used < least.used {
				oldest, least = key, at
			}
		}
		d.bytes -= least.bytes
		delete(d.by, oldest)
	}
}

// numbersOf returns the numbers of a release for a document, as [Site.numbers] does.
type numbersOf func(*publish.Release) numbers

// renderer makes a document for the visitor who sent r.
type renderer func(r *http.Request, numbers numbersOf) ([]byte, error)

// share answers r with the document of the media type kind that render makes of the releases
// that q selects. Requests for the same document share it. Searches are not kept, because
// there can be any number of them, and neither are the pages of an export, which records their
// links.
func (s *Site) share(w http.ResponseWriter, r *http.Request, kind string, q publish.Query, render renderer) {
	lang := ""
	if kind == htmlType {
		lang = s.in(r).Code
		s.vary(w, r)
	}
	var doc *document
	var err error
	if q.Text != "" || s.visits != nil {
		leave, ok := s.search(w, r, q.Text != "")
		if !ok {
			return
		}
		defer leave()
		doc, err = s.newDocument(r, render)
	} else {
		doc, err = s.kept(r, documentKey{r.URL.Path, lang, s.base(r).String(), q}, render)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	httpcontent.SendTagged(w, r, kind, doc.data, doc.etag)
}

// kept returns the document of key, and makes it if the site does not keep a current one. It
// waits while another request does the same.
func (s *Site) kept(r *http.Request, key documentKey, render renderer) (*document, error) {
	at := s.shared.slot(key)
	select {
	case at.turn <- struct{}{}:
		defer func() { <-at.turn }()
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	if s.current(r.Context(), at.doc) {
		return at.doc, nil
	}
	doc, err := s.newDocument(r, render)
	if err == nil {
		at.doc = doc
		s.shared.sized(key, at, len(doc.data))
	}
	return doc, err
}

// current reports whether doc can be sent. It reads the numbers in doc again if they are older
// than those of [Site.numbers].
func (s *Site) current(ctx context.Context, doc *document) bool {
	if doc == nil || doc.revision != s.catalog.Revision() {
		return false
	}
	now := time.Now()
	if len(doc.releases) == 0 || now.Sub(doc.at) < s.opts.Tick/2 {
		return true
	}
	for i, rel := range doc.releases {
		if s.numbers(ctx, rel) != doc.numbers[i] {
			return false
		}
	}
	doc.at = now
	return true
}

// newDocument makes a document.
func (s *Site) newDocument(r *http.Request, render renderer) (*document, error) {
	r = r.WithContext(context.WithoutCancel(r.Context())) // because other requests share the document
	doc := &document{revision: s.catalog.Revision(), at: time.Now()}
	var err error
	doc.data, err = render(r, func(rel *publish.Release) numbers {
		n := s.numbers(r.Context(), rel)
		doc.releases, doc.numbers = append(doc.releases, rel), append(doc.numbers, n)
		return n
	})
	if err != nil {
		return nil, err
	}
	doc.etag = httpcontent.ETag(doc.data)
	return doc, nil
}
