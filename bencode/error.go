package bencode

import (
	"errors"
	"fmt"
	"io"
)

// ErrLimit is wrapped by a [SyntaxError] if the input exceeds a limit of [Options] but
// has no syntax error.
var ErrLimit = errors.New("over the limit")

// SyntaxError describes the first error in the input: bad syntax, a value of another
// type than the caller asked for, an early end, or an exceeded limit.
type SyntaxError struct {
	Offset int    // offset of the error in bytes from the start of the input
	Reason string // the reason in lower case, without the offset

	cause error
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("bencode: %s at byte %d", e.Reason, e.Offset)
}

// Unwrap returns [ErrLimit] if a limit was exceeded, [io.ErrUnexpectedEOF] if the input
// ended early, and otherwise nil.
func (e *SyntaxError) Unwrap() error { return e.cause }

func truncated(off int) *SyntaxError {
	return &SyntaxError{Offset: off, Reason: "input ends too early", cause: io.ErrUnexpectedEOF}
}
