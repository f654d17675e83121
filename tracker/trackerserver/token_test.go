package trackerserver

import (
	"errors"
	"strings"
	"testing"

	"spate/tracker"
	"spate/tracker/wire"
)

// TestTokens checks the forms of announce URLs with a token, and which tokens and names are
// refused.
func TestTokens(t *testing.T) {
	path := t.TempDir() + "/users"
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Issue("ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Issue("a b\n"); !errors.Is(err, ErrTokenName) {
		t.Errorf("bad name: %v", err)
	}
	tokens, err = OpenTokens(path) // as a new process does
	if err != nil {
		t.Fatal(err)
	}
	var user string
	s := newServer(t, Options{Tokens: tokens, RequireToken: true, Observers: []func(*tracker.Observation){func(o *tracker.Observation) { user = o.User }}})
	req := peer(1)
	q := "?" + string(wire.AppendAnnounceQuery(nil, &req))
	for _, target := range []string{"/announce/" + token + q, "/" + token + "/announce" + q, "/announce" + q + "&token=" + token} {
		user = ""
		if _, err := wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", target)); err != nil || user != "ann" {
			t.Errorf("%s: user %q, %v", target, user, err)
		}
	}
	for target, why := range map[string]string{
		"/announce" + q: "needs your personal", "/announce/" + strings.Repeat("0", 32) + q: "not valid", "/announce/x" + q: "not valid",
	} {
		_, err := wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", target))
		refusedFor(t, err, why)
	}
	if n, err := tokens.Revoke("ann"); n != 1 || err != nil {
		t.Error(n, err)
	}
	_, err = wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", "/announce/"+token+q))
	refusedFor(t, err, "revoked")
	if len(tokens.Users()) != 0 {
		t.Error(tokens.Users())
	}
}
