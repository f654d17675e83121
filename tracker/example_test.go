package tracker_test

import (
	"errors"
	"fmt"
	"time"

	"spate/tracker"
)

// A tracker that refuses says why, and when to ask again.
func ExampleFailureError() {
	// Package trackerclient returns such errors.
	err := fmt.Errorf("announce: %w", &tracker.FailureError{Reason: "torrent not registered", RetryIn: 5 * time.Minute})
	var failure *tracker.FailureError
	if errors.As(err, &failure) {
		fmt.Println(failure.Reason, "- again in", failure.RetryIn)
	}
	// Output: torrent not registered - again in 5m0s
}

// A request with nothing left is that of a seed.
func ExampleAnnounceRequest_Seed() {
	event, err := tracker.ParseEvent("completed")
	req := tracker.AnnounceRequest{Left: 0, Event: event, NumWant: tracker.DefaultNumWant}
	fmt.Println(req.Event, req.Seed(), err)
	// Output: completed true <nil>
}
