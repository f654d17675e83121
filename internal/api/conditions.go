package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"spate/internal/httpcontent"
)

// unchanged returns an error if a request has an If-Match (RFC 9110, 13.1.1) that does not name the
// present state of what it changes. load returns that state, as a GET request would send it.
func unchanged[T any](r *http.Request, load func() (T, error)) error {
	fields := r.Header.Values("If-Match")
	if len(fields) == 0 {
		return nil
	}
	v, err := load()
	if err != nil {
		return err
	}
	b, err := encode(v)
	if err != nil {
		return err
	}
	tag := httpcontent.ETag(b)
	for _, f := range fields {
		for t := range strings.SplitSeq(f, ",") {
			if t = strings.TrimSpace(t); t == "*" || t == tag {
				return nil
			}
		}
	}
	return &Error{Code: Changed, Message: "it has changed since the client read it", Hint: "read it again, and decide again"}
}

// encode returns the body of an answer with v.
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}

// page is the part of a list that a request asks for.
type page struct{ offset, limit int } // limit 0: all

// readPageOf reads the page that a request asks for.
func readPageOf(r *http.Request) (p page, err error) {
	return p, readPage(r.URL.Query(), &p.offset, &p.limit)
}

// cut returns the elements of a page of a whole list, and links to the other pages.
func cut[T any](w http.ResponseWriter, r *http.Request, list []T, p page) []T {
	p.link(w, r, len(list))
	list = list[min(p.offset, len(list)):]
	if p.limit > 0 {
		list = list[:min(p.limit, len(list))]
	}
	return list
}

// link names the other pages of a list with total elements in the header Link (RFC 8288).
func (p page) link(w http.ResponseWriter, r *http.Request, total int) {
	if p.limit <= 0 {
		return
	}
	var links []string
	add := func(rel string, offset int) {
		q := r.URL.Query()
		q.Set("offset", strconv.Itoa(offset))
		u := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: q.Encode()}
		links = append(links, "<"+u.String()+`>; rel="`+rel+`"`)
	}
	if p.offset > 0 {
		add("first", 0)
		add("prev", max(0, p.offset-p.limit))
	}
	if p.offset < total-p.limit {
		add("next", p.offset+p.limit)
		add("last", (total-1)/p.limit*p.limit)
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
}
