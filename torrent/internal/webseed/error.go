package webseed

import (
	"fmt"
	"time"
)

// BrokenError says that a server does not serve the torrent's data as BEP 19
// wants it, and that asking again would not change that.
type BrokenError struct {
	URL    string // without password
	Reason string
	Err    error // may be nil
}

func (e *BrokenError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.URL, e.Reason, e.Err)
	}
	return e.URL + ": " + e.Reason
}

// Unwrap returns the cause, if there is one.
func (e *BrokenError) Unwrap() error { return e.Err }

// BusyError says that a server cannot answer now.
type BusyError struct {
	URL    string // without password
	Status string // such as "503 Service Unavailable"
	// RetryAfter is how long it wants to be left alone; 0 when it did not say.
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: the server answered %s, and to come back in %v", e.URL, e.Status, e.RetryAfter)
	}
	return fmt.Sprintf("%s: the server answered %s", e.URL, e.Status)
}
