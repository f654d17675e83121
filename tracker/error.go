package tracker

import (
	"fmt"
	"time"
)

// FailureError is a tracker's refusal of a request, in the tracker's words.
type FailureError struct {
	// Reason is text from outside: a client cleans it of control characters
	// before anybody sees it.
	Reason string
	// RetryIn is the wait before a retry makes sense (BEP 31); 0: not said.
	RetryIn time.Duration
	// Never says that no retry will succeed (BEP 31).
	Never bool
	// Interval and MinInterval stand beside the failure in some trackers'
	// answers; 0: not said.
	Interval, MinInterval time.Duration
}

func (e *FailureError) Error() string {
	switch {
	case e.Never:
		return fmt.Sprintf("the tracker refused for good: %s", e.Reason)
	case e.RetryIn > 0:
		return fmt.Sprintf("the tracker refused: %s (retry in %v)", e.Reason, e.RetryIn)
	}
	return "the tracker refused: " + e.Reason
}
