package reach

import (
	"fmt"
	"strings"
	"time"
)

// DialBack says whether peers could reach the process that asked them to. The zero value says
// nothing.
type DialBack struct {
	Time   time.Time `json:"time"`   // when the peers were asked
	Checks []Check   `json:"checks"` // empty if no connected peer could be asked
}

// Check is the part of a [DialBack] about one protocol and address family.
type Check struct {
	Network string `json:"network"` // "tcp4", "udp4", "tcp6" or "udp6"
	Port    uint16 `json:"port"`    // the port that the peers were to reach
	Result  Result `json:"result"`
	Asked   int    `json:"asked"` // number of peers that were asked, the sum of the counts below
	// Reached counts peers whose connection or packet has arrived.
	Reached int `json:"reached"`
	// Refused, TimedOut and Other count peers whose connection was refused, was not answered, and
	// was answered by another program.
	Refused  int `json:"refused"`
	TimedOut int `json:"timed_out"`
	Other    int `json:"other"`
	// Unclear counts peers that did not answer or tried nothing.
	Unclear int `json:"unclear"`
}

// Result is the result of a [Check].
type Result string

// The results of a check.
const (
	Reachable   Result = "reachable"   // a connection or packet has arrived
	Unreachable Result = "unreachable" // most peers that were asked could not connect
	Unknown     Result = "unknown"     // there were too few clear answers
)

// Of returns the check of a network, or nil if there is none.
func (d DialBack) Of(network string) *Check {
	for i := range d.Checks {
		if d.Checks[i].Network == network {
			return &d.Checks[i]
		}
	}
	return nil
}

// String describes the check in a sentence without a period.
func (c Check) String() string {
	port := fmt.Sprintf("%s port %d over IPv%s", strings.ToUpper(c.Network[:3]), c.Port, c.Network[3:])
	switch c.Result {
	case Reachable:
		return fmt.Sprintf("others reach %s: %s connected", port, c.peers(c.Reached))
	case Unreachable:
		return fmt.Sprintf("others do not reach %s: %s", port, c.Failure())
	}
	return fmt.Sprintf("it is unknown whether others reach %s: %s gave no clear answer", port, c.peers(c.Unclear))
}

// Failure says how many peers could not connect, and why.
func (c Check) Failure() string {
	var why []string
	for _, f := range []struct {
		n    int
		text string
	}{
		{c.TimedOut, "nothing answered"}, {c.Refused, "the connection was refused"}, {c.Other, "another program answered"},
	} {
		if f.n > 0 {
			why = append(why, f.text)
		}
	}
	return fmt.Sprintf("%s could not connect (%s)", c.peers(c.TimedOut+c.Refused+c.Other), strings.Join(why, ", "))
}

// peers returns the words for n of the peers that were asked.
func (c Check) peers(n int) string {
	switch {
	case c.Asked == 1 && n == 1:
		return "the one peer that was asked"
	case c.Asked == n:
		return fmt.Sprintf("all %d peers that were asked", n)
	}
	return fmt.Sprintf("%d of the %d peers that were asked", n, c.Asked)
}
