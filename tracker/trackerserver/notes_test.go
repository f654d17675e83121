package trackerserver

import (
	"os"
	"path/filepath"
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// TestNotesFile checks that the warnings and failures in Options.Notes are applied, and that
// they allow no torrent.
func TestNotesFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes")
	warned, failed := spate.InfoHash{1}, spate.InfoHash{2}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# old\n\n" + warned.String() + " warning  a new version is out\n" + failed.String() + " failure withdrawn\n")
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	s, err := New(table, Options{Notes: path, OnlyAllowed: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := s.admission(&warned); r != refuseUnknown {
		t.Errorf("a note allows a torrent: %v", r)
	}
	for _, ih := range []spate.InfoHash{warned, failed} {
		if err := s.Allow(ih, tracker.Note{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, r := s.admission(&warned); r != nil || n.Name != "x" || n.Warning != "a new version is out" {
		t.Errorf("warning: %v, %v", n, r)
	}
	if _, r := s.admission(&failed); r == nil || r.Reason != "withdrawn" {
		t.Errorf("failure: %v", r)
	}
	write("nonsense")
	if s.Reload() == nil {
		t.Error("an invalid file is not an error")
	}
	if _, r := s.admission(&failed); r == nil {
		t.Error("an invalid file has removed the notes")
	}
	write("")
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if n, r := s.admission(&failed); r != nil || n.Warning != "" {
		t.Errorf("an empty file: %v, %v", n, r)
	}
}
