package webseed

import (
	"fmt"
	"time"
)

// BrokenError is the error of a server that may not be asked, because its name has a forbidden
// address at present.
type BrokenError struct {
	URL    string // URL without its password
	Reason string
	Err    error // the cause, or nil
}

func (e *BrokenError) Error() string { return message(e.URL, e.Reason, e.Err) }

// Unwrap returns Err.
func (e *BrokenError) Unwrap() error { return e.Err }

// FileError is the error of one file at a server. Other files of the server may be fine.
type FileError struct {
	URL    string // URL without its password
	File   int    // index of the file
	Reason string // what is wrong with the answer
	Err    error  // the cause, or nil
	// Temporary says that the same request may succeed soon.
	Temporary bool
	// NoRanges says that the server sends the whole file instead of a range; see
	// [Conn.ReadWhole].
	NoRanges bool
	// RetryAfter is the time that the server asks clients to wait; 0 if it asks for none.
	RetryAfter time.Duration
}

func (e *FileError) Error() string { return message(e.URL, e.Reason, e.Err) }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

func message(url, reason string, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: %s: %v", url, reason, err)
	}
	return url + ": " + reason
}

// BusyError is the error of a server that cannot answer now.
type BusyError struct {
	URL    string // URL without its password
	File   int    // index of the file that was requested
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
