package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"spate/tracker"
)

// URLError is returned for a tracker URL that cannot be used.
type URLError struct {
	URL    string // scheme and host; empty if the URL is malformed
	Reason string
}

func (e *URLError) Error() string {
	if e.URL == "" {
		return "tracker URL: " + e.Reason
	}
	return fmt.Sprintf("tracker URL %s: %s", e.URL, e.Reason)
}

// AnswerError is returned for a response that is not that of a tracker: garbage, a web
// page or an HTTP error.
type AnswerError struct {
	URL    string // scheme and host
	Status int    // HTTP status; 0 over UDP
	Err    error  // what is wrong with the body; nil if the status is the error
	// Wait is how long the server asks clients to wait (RFC 9110, Retry-After), at most a day;
	// 0 if it does not.
	Wait time.Duration
}

// RetryAfter returns e.Wait.
func (e *AnswerError) RetryAfter() time.Duration { return e.Wait }

func (e *AnswerError) Error() string {
	switch {
	case e.Err == nil:
		return fmt.Sprintf("tracker %s: its web server answered with status %d", e.URL, e.Status)
	case e.Status != 0 && e.Status != 200:
		return fmt.Sprintf("tracker %s: unusable answer (status %d): %v", e.URL, e.Status, e.Err)
	}
	return fmt.Sprintf("tracker %s: unusable answer: %v", e.URL, e.Err)
}

func (e *AnswerError) Unwrap() error { return e.Err }

// SilenceError is returned if the tracker did not respond in time. It is a timeout
// according to [net.Error].
type SilenceError struct {
	URL string // scheme and host
}

func (e *SilenceError) Error() string { return "tracker " + e.URL + ": no answer" }

// Timeout reports true.
func (e *SilenceError) Timeout() bool { return true }

// Temporary reports true.
func (e *SilenceError) Temporary() bool { return true }

var errCut = errors.New("the connection ended before the response was complete")

var errTimeout = errors.New("trackerclient: timeout")

// explain converts err to one of the errors that [Client] documents.
func (c *Client) explain(ctx context.Context, u *url.URL, err error) error {
	var failure *tracker.FailureError
	var answer *AnswerError
	var silence *SilenceError
	var bad *URLError
	switch {
	case errors.As(err, &failure), errors.As(err, &answer), errors.As(err, &silence), errors.As(err, &bad):
		return err
	case errors.Is(context.Cause(ctx), errTimeout), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &SilenceError{URL: origin(u)}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if forbidden := explainAddress(err); forbidden != nil {
		err = forbidden
	}
	var wrapped *url.Error // contains the whole URL
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &AnswerError{URL: origin(u), Err: errCut}
	}
	return fmt.Errorf("tracker %s: %w", origin(u), err)
}
