package trackerserver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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

// TestRepairTokens checks that a damaged file of tokens is set aside and reported, that the tokens
// in its intact lines stay valid, and that the next start reports nothing.
func TestRepairTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(path string, b []byte) error
		users  []string
	}{
		{"empty", func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o600) }, nil},
		{"zeros", func(p string, _ []byte) error { return os.WriteFile(p, make([]byte, 500), 0o600) }, nil},
		{"a bad line", func(p string, b []byte) error { return os.WriteFile(p, append(b, "no token\n"...), 0o600) }, []string{"ann", "bob"}},
		{"cut", func(p string, b []byte) error { return os.WriteFile(p, b[:len(b)-2], 0o600) }, []string{"ann"}},
		{"zeros at the end", func(p string, b []byte) error { return os.WriteFile(p, append(b, 0, 0, 0), 0o600) }, []string{"ann", "bob"}},
		{"a cut comment", func(p string, b []byte) error { return os.WriteFile(p, b[:5], 0o600) }, nil},
		{"a long line", func(p string, b []byte) error {
			return os.WriteFile(p, slices.Concat(b, make([]byte, 1<<20), []byte("\n")), 0o600)
		}, []string{"ann", "bob"}},
		{"a directory", func(p string, _ []byte) error {
			return errors.Join(os.Remove(p), os.MkdirAll(filepath.Join(p, "x"), 0o700))
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tokens")
			tokens, damaged, err := RepairTokens(path)
			if err != nil || damaged != nil {
				t.Fatal(err, damaged)
			}
			ann, err := tokens.Issue("ann")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tokens.Issue("bob"); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err == nil {
				err = c.damage(path, b)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tokens, damaged, err = RepairTokens(path); err != nil || damaged == nil {
				t.Fatalf("RepairTokens returned %v, %v, want a description of the damage", damaged, err)
			}
			if got := tokens.Users(); !slices.Equal(got, c.users) {
				t.Errorf("the users are %q, want %q", got, c.users)
			}
			if user, ok := tokens.Check([]byte(ann)); ok != slices.Contains(c.users, "ann") {
				t.Errorf("the token of ann is that of %q, %v", user, ok)
			}
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Error(err)
			}
			if _, damaged, err = RepairTokens(path); err != nil || damaged != nil {
				t.Errorf("the next RepairTokens returned %v, %v", damaged, err)
			}
			if _, err := tokens.Revoke("ann"); err != nil {
				t.Error(err)
			}
		})
	}
}
