package tracker

import (
	"fmt"
	"time"
)

// FailureError is returned for a request that the tracker refused.
type FailureError struct {
	// Reason is the message of the tracker. A program must remove control characters
	// before it shows Reason.
	Reason string
	// RetryIn is the time to wait before a retry (BEP 31); 0 if the tracker sent none.
	RetryIn time.Duration
	// Never means that retries will not succeed (BEP 31).
	Never bool
	// Interval and MinInterval are the announce intervals that some trackers send with
	// a failure; 0 if the tracker sent none.
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
