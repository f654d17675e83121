package webseed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spate/internal/netguard"
	"spate/internal/units"
)

// reachOf returns where a request for the URL of a web seed may go.
func reachOf(u *url.URL) netguard.Reach {
	if u.RawQuery != "" || u.ForceQuery {
		return netguard.ToPublic
	}
	return netguard.ToMachine
}

// answer is the answer to a request for a range of a file.
type answer struct {
	body  io.ReadCloser
	url   *url.URL       // after redirects
	reach netguard.Reach // where further requests for url may go
	holds span
	more  bool // the body holds more than that
}

// span is the range of a file that an answer holds.
type span struct{ begin, end int64 }

// get requests the n bytes at offset off of file number file, which has size bytes. The answer
// holds either bytes from off on, maybe fewer than n, or the whole file.
func (c *Client) get(ctx context.Context, u *url.URL, within netguard.Reach, file int, off, n, size int64) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &FileError{URL: u.Redacted(), File: file, Reason: "it cannot be requested", Err: err}
	}
	req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(off+n-1, 10))
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.opt.UserAgent)
	got, err := c.http.Get(req, within)
	if err != nil {
		return nil, explain(u, file, err)
	}
	resp := got.Response
	holds, err := checkAnswer(resp, off, size)
	if err != nil {
		resp.Body.Close()
		return nil, refusal(file, resp, err)
	}
	a := &answer{body: resp.Body, url: resp.Request.URL, reach: got.Reach, holds: holds}
	if resp.StatusCode == http.StatusPartialContent && holds.end > off+n {
		a.holds.end, a.more = off+n, true
	}
	return a, nil
}

// explain returns the error for a request for u that got no answer. The error names the URL
// that failed, which may be the target of a redirect. Only if no connection to the web seed
// itself is possible, the error is about the whole server.
func explain(u *url.URL, file int, err error) error {
	at, host := u.Redacted(), u.Host
	var failed *url.Error
	if errors.As(err, &failed) {
		at, err = failed.URL, failed.Err
		if v, err := url.Parse(at); err == nil {
			host = v.Host
		}
	}
	var forbidden *netguard.AddressError
	var redirect *netguard.RedirectError
	var connect *netguard.ConnectError
	switch {
	case errors.As(err, &forbidden) && at == u.Redacted():
		return &BrokenError{URL: at, Reason: "it may not be asked", Err: forbidden}
	case errors.As(err, &forbidden):
		return &FileError{URL: at, File: file, Reason: "it may not be asked", Err: forbidden}
	case errors.As(err, &redirect) && redirect.RetryAfter > 0:
		return &BusyError{URL: at, File: file, Status: strconv.Itoa(redirect.Status), RetryAfter: redirect.RetryAfter}
	case errors.As(err, &redirect):
		return &FileError{URL: at, File: file, Reason: redirect.Reason}
	case errors.As(err, &connect) && host == u.Host:
		return fmt.Errorf("%s: %w", at, err)
	}
	return &FileError{URL: at, File: file, Reason: "no answer", Err: err, Temporary: true}
}

// refusal returns the error for an answer that does not hold the requested bytes.
func refusal(file int, resp *http.Response, err error) error {
	u, code := resp.Request.URL.Redacted(), resp.StatusCode
	after := netguard.RetryAfter(resp.Header, time.Now())
	if code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests {
		return &BusyError{URL: u, File: file, Status: resp.Status, RetryAfter: after}
	}
	return &FileError{URL: u, File: file, Reason: err.Error(), Temporary: netguard.Temporary(code), RetryAfter: after}
}

// checkAnswer returns the span of a file of size bytes that an answer holds, if the answer is
// valid for a request for bytes from offset off on.
func checkAnswer(resp *http.Response, off, size int64) (span, error) {
	var s span
	switch {
	case resp.StatusCode == http.StatusOK:
		s.end = size
	case resp.StatusCode != http.StatusPartialContent:
		return s, fmt.Errorf("the server answers %s", resp.Status)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return s, fmt.Errorf("the server encodes the data as %.20q", e)
	}
	if resp.StatusCode == http.StatusPartialContent {
		var err error
		if s, err = parseRange(resp.Header.Get("Content-Range"), size); err != nil {
			return s, err
		}
		if s.begin != off {
			return s, fmt.Errorf("the server sends bytes from %d on instead of %d", s.begin, off)
		}
	}
	if l := resp.ContentLength; l >= 0 && l != s.end-s.begin {
		return s, fmt.Errorf("the server sends %s of %d", units.Plural(l, "byte"), s.end-s.begin)
	}
	return s, nil
}

// parseRange parses a Content-Range header (RFC 9110, 14.4) for a file of size bytes.
func parseRange(v string, size int64) (span, error) {
	malformed := fmt.Errorf("the server sends the malformed Content-Range %.60q", v)
	unit, rest, _ := strings.Cut(strings.TrimSpace(v), " ")
	ends, total, ok := strings.Cut(strings.TrimSpace(rest), "/")
	first, last, ok2 := strings.Cut(ends, "-")
	if !strings.EqualFold(unit, "bytes") || !ok || !ok2 {
		return span{}, malformed
	}
	if total != "*" {
		if t, err := strconv.ParseUint(total, 10, 63); err != nil {
			return span{}, malformed
		} else if int64(t) != size {
			return span{}, fmt.Errorf("the file of the server is %s long, not %d", units.Plural(t, "byte"), size)
		}
	}
	begin, err := strconv.ParseUint(first, 10, 63)
	end, err2 := strconv.ParseUint(last, 10, 63)
	if err != nil || err2 != nil || begin > end || end >= uint64(size) {
		return span{}, malformed
	}
	return span{int64(begin), int64(end) + 1}, nil
}
