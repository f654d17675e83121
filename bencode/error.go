package bencode

import (
	"errors"
	"fmt"
	"io"
)

// ErrLimit is the cause of a [SyntaxError] that stands for a limit of [Options]
// rather than for bad syntax.
var ErrLimit = errors.New("over the limit")

// SyntaxError says where input is not what was wanted: malformed, cut short,
// another type than asked for, or over a limit.
type SyntaxError struct {
	Offset int    // of the offending byte, from the start of the input
	Reason string // lower case, without the offset

	cause error
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("bencode: %s at byte %d", e.Reason, e.Offset)
}

// Unwrap returns [ErrLimit], [io.ErrUnexpectedEOF] for input that ends too
// early, or nil.
func (e *SyntaxError) Unwrap() error { return e.cause }

func truncated(off int) *SyntaxError {
	return &SyntaxError{Offset: off, Reason: "input ends too early", cause: io.ErrUnexpectedEOF}
}
