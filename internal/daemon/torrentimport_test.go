package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/takeover"
	"spate/storage"
)

// keptOf returns what another program knows of the data of m, all of which it has verified now.
func keptOf(m *movedData) takeover.Kept {
	until := time.Now().Unix() + 1
	return takeover.Kept{Have: allPieces(m.mi).Bytes(), Until: []int64{until, until}, Uploaded: 5, Seeded: 60, Added: time.Unix(1_700_000_000, 0).UTC()}
}

// TestImport checks that an imported torrent starts from what the other program knew: complete data is
// complete, and the engine finds resume data that trusts its files.
func TestImport(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	state := filepath.Join(top, "state")
	list := offlineTorrents(t, state)
	m := newMovedData(t, state)
	if err := storage.RemoveResume(list.store.dir, m.mi.Hash()); err != nil {
		t.Fatal(err)
	}
	b := filepath.Join(m.dir, "t", "b")
	if err := os.Rename(b, b+".part"); err != nil {
		t.Fatal(err)
	}
	q := ImportRequest{AddRequest{Torrent: m.b, Dir: m.dir, TorrentOptions: TorrentOptions{Label: "films"}}, keptOf(m)}
	q.Kept.Partial = ".part"
	i, err := list.Import(t.Context(), q)
	if err != nil || i.Done != 70_000 || i.TotalLength != 70_000 || i.Check != 0 || i.Paused || i.Completed.IsZero() || i.Uploaded != 5 || i.Seeded != 60 || i.Label != "films" || !i.Added.Equal(q.Kept.Added) {
		t.Errorf("the import: %+v, %v", i, err)
	}
	if len(i.Notes) != 1 || !strings.Contains(i.Notes[0], "renamed") || m.holds(m.dir) != "all" {
		t.Errorf("the notes are %q, and the directory holds %s of the data", i.Notes, m.holds(m.dir))
	}
	e, err := list.find("t")
	if err != nil {
		t.Fatal(err)
	}
	files, err := list.dataOf(&e.rec, m.mi, m.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	now, err := files.Stats()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := storage.LoadResume(list.store.dir, m.mi.Hash())
	if err != nil {
		t.Fatal(err)
	}
	have, check := rec.Reconcile(files.Layout(), m.mi.Info.PieceLength, now)
	if !have.All() || !check.None() || rec.Dir != m.dir || rec.Uploaded != 5 {
		t.Errorf("the engine starts with %d pieces and checks %d: %+v", have.Count(), check.Count(), rec)
	}
	if _, err := list.Import(t.Context(), q); fault.CodeOf(err) != fault.Exists {
		t.Errorf("a second import: %v", err)
	}
	if again, err := storage.LoadResume(list.store.dir, m.mi.Hash()); err != nil || !again.Have.All() {
		t.Errorf("the second import has changed the resume data: %v", err)
	}
}

// TestImportRefused checks imports that must change nothing.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	state := filepath.Join(top, "state")
	list := offlineTorrents(t, state)
	m := newMovedData(t, state)
	for what, change := range map[string]func(*ImportRequest){
		"another machine":     func(q *ImportRequest) { q.Remote = true },
		"the state":           func(q *ImportRequest) { q.Dir = filepath.Join(state, "torrents") },
		"a relative path":     func(q *ImportRequest) { q.Dir = "old" },
		"no directory":        func(q *ImportRequest) { q.Dir = "" },
		"a path that escapes": func(q *ImportRequest) { q.Kept.Paths = map[int]string{0: "../../x"} },
		"a name that escapes": func(q *ImportRequest) { q.Kept.Name = "../x" },
		"a damaged torrent":   func(q *ImportRequest) { q.Torrent = []byte("de") },
		"a selection of none": func(q *ImportRequest) { q.Select = []string{"none"} },
	} {
		q := ImportRequest{AddRequest{Torrent: m.b, Dir: m.dir}, keptOf(m)}
		change(&q)
		if i, err := list.Import(t.Context(), q); err == nil {
			t.Errorf("%s is imported: %+v", what, i)
		}
	}
	if all, _ := list.List(TorrentList{}); len(all) > 0 || m.holds(m.dir) != "all" {
		t.Errorf("the list is %+v", all)
	}
}

// TestImportOfMissingData checks that a torrent whose data is gone is paused, and that a magnet link
// needs no data.
func TestImportOfMissingData(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	state := filepath.Join(top, "state")
	list := offlineTorrents(t, state)
	m := newMovedData(t, state)
	if err := os.Remove(filepath.Join(m.dir, "t", "a")); err != nil {
		t.Fatal(err)
	}
	i, err := list.Import(t.Context(), ImportRequest{AddRequest{Torrent: m.b, Dir: m.dir}, keptOf(m)})
	if err != nil || !i.Paused || !i.Completed.IsZero() || len(i.Notes) != 1 || !strings.Contains(i.Notes[0], "1 complete file is not") {
		t.Errorf("the import: %+v, %v", i, err)
	}
	if err := list.Remove(t.Context(), "t", false); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(top, "gone")
	i, err = list.Import(t.Context(), ImportRequest{AddRequest{Torrent: m.b, Dir: gone}, keptOf(m)})
	if _, statErr := os.Lstat(gone); err != nil || !i.Paused || i.Done != 0 || len(i.Notes) == 0 || statErr == nil {
		t.Errorf("the import without a directory: %+v, %v", i, err)
	}
	link := "magnet:?xt=urn:btih:" + strings.Repeat("1", 40) + "&dn=linkonly"
	i, err = list.Import(t.Context(), ImportRequest{AddRequest: AddRequest{Source: link, Dir: m.dir}})
	if err != nil || i.Name != "linkonly" || i.Paused || i.Dir != m.dir {
		t.Errorf("the import of a magnet link: %+v, %v", i, err)
	}
}
