package reach

import "testing"

// TestCheckSaysWhatPeersFound checks the words about the answers of peers.
func TestCheckSaysWhatPeersFound(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Check{
		"others reach TCP port 6881 over IPv4: all 3 peers that were asked connected": {
			Network: "tcp4", Port: 6881, Result: Reachable, Asked: 3, Reached: 3},
		"others reach UDP port 6881 over IPv6: 1 of the 3 peers that were asked connected": {
			Network: "udp6", Port: 6881, Result: Reachable, Asked: 3, Reached: 1, TimedOut: 2},
		"others do not reach TCP port 1 over IPv4: the one peer that was asked could not connect (nothing answered)": {
			Network: "tcp4", Port: 1, Result: Unreachable, Asked: 1, TimedOut: 1},
		"others do not reach TCP port 1 over IPv4: 2 of the 3 peers that were asked could not connect (the connection was refused, another program answered)": {
			Network: "tcp4", Port: 1, Result: Unreachable, Asked: 3, Refused: 1, Other: 1, Unclear: 1},
		"it is unknown whether others reach TCP port 1 over IPv4: all 2 peers that were asked gave no clear answer": {
			Network: "tcp4", Port: 1, Result: Unknown, Asked: 2, Unclear: 2},
	} {
		if got := c.String(); got != want {
			t.Errorf("%+v is described as %q, want %q", c, got, want)
		}
	}
}
