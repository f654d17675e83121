package cli

import (
	"errors"
	"syscall"

	"spate/internal/fault"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// trackerError gives an error of the tracker client its exit code and a hint.
func trackerError(err error) error {
	var (
		failure *tracker.FailureError
		answer  *trackerclient.AnswerError
		silence *trackerclient.SilenceError
		bad     *trackerclient.URLError
	)
	switch {
	case errors.As(err, &failure):
		return &fault.Error{Code: fault.Failed, Err: err}
	case errors.As(err, &bad):
		return &fault.Error{Code: fault.Usage, Err: err, Hint: "a tracker's URL looks like http://HOST:6969/announce or udp://HOST:6969"}
	case errors.As(err, &answer):
		return &fault.Error{Code: fault.Network, Err: err, Hint: "is it a tracker, and is the path /announce?"}
	case errors.As(err, &silence):
		return &fault.Error{Code: fault.NoPeers, Err: err, Hint: "is it running, and does the port's protocol (http or udp) fit?"}
	case errors.Is(err, trackerclient.ErrForbiddenAddress):
		return &fault.Error{Code: fault.Network, Err: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &fault.Error{Code: fault.Network, Err: err, Hint: "nothing listens there: is the tracker running, and is the port right?"}
	}
	return err
}
