package webseed

import (
	"fmt"
	"time"
)

// BrokenError is the error of a server that does not serve the torrent's data as BEP 19
// requires. Another request would fail too.
type BrokenError struct {
	URL    string // URL without its password
	Reason string // what is wrong with the answer
	Err    error  // the cause, or nil
}

func (e *BrokenError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.URL, e.Reason, e.Err)
	}
	return e.URL + ": " + e.Reason
}

// Unwrap returns Err.
func (e *BrokenError) Unwrap() error { return e.Err }

// BusyError is the error of a server that cannot answer now.
type BusyError struct {
	URL    string // URL without its password
	Status string // status line, such as "503 Service Unavailable"
	// RetryAfter is the time that the server asks clients to wait; 0 if it asks for none.
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: the server answered %s; retry in %v", e.URL, e.Status, e.RetryAfter)
	}
	return fmt.Sprintf("%s: the server answered %s", e.URL, e.Status)
}
