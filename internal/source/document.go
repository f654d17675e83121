package source

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/netguard"
)

// Document is a document of a web server that is fetched again and again.
type Document struct {
	Body        []byte // nil if the document has not changed
	ContentType string
	URL         *url.URL       // after redirects
	Reach       netguard.Reach // where links in the document may lead
	ETag        string         // validators of the answer, for the next request
	Modified    string
}

// StatusError reports an answer other than 200 and 304.
type StatusError struct {
	Status     int
	RetryAfter time.Duration // as the server asks; 0: it does not
	err        error
}

func (e *StatusError) Error() string { return e.err.Error() }

// Unwrap returns an error of package fault.
func (e *StatusError) Unwrap() error { return e.err }

// FetchDocument fetches a document of up to most bytes from an http(s) URL, within a reach, unless it
// still has the validators of an earlier answer. accept is the header of that name. The error is a
// [*StatusError] for answers other than 200 and 304.
func (r *Resolver) FetchDocument(ctx context.Context, link string, within netguard.Reach, accept, etag, modified string, most int64) (*Document, error) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.UsageHint("write a URL that begins with http:// or https://", "%s is no http or https URL", link)
	}
	f := r.newFetcher()
	defer f.client.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.Usagef("%w", err)
	}
	req.Header.Set("User-Agent", "spate/"+spate.Version)
	req.Header.Set("Accept", accept)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	answer, err := f.client.Get(req, within)
	if err != nil {
		return nil, explainFetch(err)
	}
	defer answer.Body.Close()
	d := &Document{
		ContentType: answer.Header.Get("Content-Type"), URL: answer.Request.URL, Reach: answer.Reach,
		ETag: validator(answer.Header.Get("ETag")), Modified: validator(answer.Header.Get("Last-Modified")),
	}
	switch {
	case answer.StatusCode == http.StatusNotModified && (etag != "" || modified != ""):
		return d, nil
	case answer.StatusCode != http.StatusOK:
		code := fault.Network
		if answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone {
			code = fault.NotFound
		}
		return nil, &StatusError{answer.StatusCode, netguard.RetryAfter(answer.Header, time.Now()), fault.New(code, "", "%s: the server answered %s", u.Redacted(), answer.Status)}
	}
	d.Body, err = io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, damaged(u, err)
	}
	if int64(len(d.Body)) > most {
		return nil, fault.New(fault.BadData, "", "%s: the answer is longer than the limit", u.Redacted())
	}
	return d, nil
}

// validator returns a validator that can be sent back, or "".
func validator(s string) string {
	if len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}
