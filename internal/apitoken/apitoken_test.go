package apitoken

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// open opens the tokens at path, which must not be damaged.
func open(t *testing.T, path string) *Store {
	t.Helper()
	s, damaged, err := Open(path)
	if err != nil || damaged != nil {
		t.Fatalf("%v, %v", damaged, err)
	}
	return s
}

// TestTokens checks what the holder of a token may do and until when, also for another process.
func TestTokens(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	s := open(t, path)
	end := noon.Add(time.Hour)
	reader, issued, err := s.Issue("phone", Read|Torrents, end)
	if err != nil {
		t.Fatal(err)
	}
	owner, _, err := s.Issue("laptop", Admin, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if strings.Contains(string(b), reader) || strings.Contains(string(b), owner) {
		t.Error("the file has a secret")
	}
	for _, s := range []*Store{s, open(t, path)} {
		if got, ok := s.Check([]byte(reader), noon); !ok || got != issued || got.Name != "phone" || got.Scopes != Read|Torrents || !got.Expires.Equal(end) {
			t.Errorf("%+v %v, want %+v", got, ok, issued)
		}
		if got, ok := s.Check([]byte(owner), noon.AddDate(50, 0, 0)); !ok || got.Scopes != Admin || got.Name != "laptop" {
			t.Errorf("%+v %v", got, ok)
		}
		if _, ok := s.Check([]byte(reader), end); ok {
			t.Error("a token is valid after its end")
		}
		if got, ok := s.ByID(issued.ID, noon); !ok || got != issued {
			t.Errorf("%+v %v", got, ok)
		}
		if _, ok := s.ByID(issued.ID, end); ok {
			t.Error("a token is valid after its end for its ID")
		}
		for _, bad := range []string{"", "x", reader + "0", reader[1:], strings.Repeat("0", secretLen), issued.ID, strings.ToUpper(reader)} {
			if got, ok := s.Check([]byte(bad), noon); ok && bad != reader {
				t.Errorf("%q is %+v", bad, got)
			}
		}
	}
	if n, err := s.Revoke("phone"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if list := open(t, path).List(); len(list) != 1 || list[0].Name != "laptop" {
		t.Errorf("%+v", list)
	}
	for _, name := range []string{"", "a b", "a\n", strings.Repeat("x", maxName+1)} {
		if _, _, err := s.Issue(name, Read, time.Time{}); !errors.Is(err, ErrName) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// TestOldFile checks that tokens of earlier versions may do everything, and that a damaged line gives
// nobody more than before.
func TestOldFile(t *testing.T) {
	t.Parallel()
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	secret := strings.Repeat("a", secretLen)
	for _, c := range []struct {
		content string
		scopes  Scopes // of the secret; 0: it is not valid
		damaged bool
	}{
		{"# The SHA-256 of each token, and the name of its user.\n" + hash(secret) + " laptop\n", Admin, false},
		{hash(secret) + " laptop scopes=read expires=2026-07-01T00:00:00Z\n", Read, false},
		{hash(secret) + " laptop scopes=read expires=2026-05-01T00:00:00Z\n", 0, false},
		{"", 0, true},
		{hash(secret) + " laptop", 0, true},
		{hash(secret) + " laptop scopes=read\nrubbish\n", Read, true},
		{hash(secret) + " laptop scopes=\n", 0, true},
		{hash(secret) + " laptop scopes=rea\n", 0, true},
		{hash(secret) + " laptop scopes=all\n", 0, true},
		{hash(secret) + " laptop expires=tomorrow\n", 0, true},
		{hash(secret) + " laptop from=10.0.0.0/8\n", 0, true},
		{hash(secret) + " laptop  \n", Admin, false},
		{hash(secret)[2:] + " laptop\n", 0, true},
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, damaged, err := Open(path)
		if err != nil || (damaged != nil) != c.damaged {
			t.Errorf("%q: %v, %v", c.content, damaged, err)
			continue
		}
		if got, ok := s.Check([]byte(secret), noon); ok != (c.scopes != 0) || ok && got.Scopes != c.scopes {
			t.Errorf("%q: %+v %v, want the scopes %v", c.content, got, ok, c.scopes)
		}
	}
}

// FuzzParse checks that the tokens of any file are the same after they were written.
func FuzzParse(f *testing.F) {
	sum := strings.Repeat("ab", sha256.Size)
	f.Add([]byte(sum + " a\n"))
	f.Add([]byte("#\n\n" + sum + " b scopes=read,publish expires=2026-07-01T00:00:00Z\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse(b)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "tokens")
		if err := write(path, list); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(written)
		same := func(a, b Token) bool {
			return a.hash == b.hash && a.ID == b.ID && a.Name == b.Name && (a.Scopes == b.Scopes || a.Scopes.Has(Admin) && b.Scopes.Has(Admin)) && a.Expires.Equal(b.Expires)
		}
		if err != nil || !slices.EqualFunc(list, again, same) {
			t.Errorf("%+v became %+v, %v", list, again, err)
		}
	})
}

// TestScopes checks the names of scopes, and which of them include which.
func TestScopes(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{"read": "read", "publish, read": "read,publish", "admin": "admin", "": "", "read,": "", "READ": "", "admin,root": ""} {
		s, err := ParseScopes(list)
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("%q: %v, %v, want %q", list, s, err, want)
		}
	}
	all := []Scopes{Read, Torrents, Publish, Admin}
	for _, has := range append(all, 0, Read|Publish) {
		for _, need := range append(all, 0) {
			if got, want := has.Has(need), need == 0 || has == Admin || has&need != 0; got != want {
				t.Errorf("%q for %q: %v", has, need, got)
			}
		}
	}
}

// TestUses checks that the last use is kept in a file that is written once a day, without tokens that
// were revoked.
func TestUses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "used")
	u := OpenUses(path)
	known := []Token{{ID: "a"}, {ID: "b"}}
	note := func(id string, now time.Time, known []Token, written bool) {
		t.Helper()
		os.Remove(path)
		if err := u.Note(id, now, known); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != written {
			t.Errorf("%s at %v: %v", id, now, err)
		}
	}
	note("a", noon, known, true)
	note("a", noon.Add(11*time.Hour), known, false)
	note("b", noon, known, true)
	note("a", noon.Add(12*time.Hour), known[:1], true)
	if again := OpenUses(path); again.Day("a") != "2026-06-02" || again.Day("b") != "" {
		t.Errorf("%v", again.days)
	}
	for _, damaged := range []string{"", "{", "[]", `{"a":1}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if u := OpenUses(path); u.Day("a") != "" || u.Note("a", noon, known) != nil {
			t.Errorf("%q: %v", damaged, u.days)
		}
	}
}
