package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"spate"
	"spate/bitfield"
	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/source"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
)

// offlineTorrents returns the added torrents of a state directory without an engine. They can be
// added, changed, moved and removed, but not run.
func offlineTorrents(t *testing.T, state string, folders ...DownloadFolder) *Torrents {
	t.Helper()
	list := emptyTorrents(state, folders...)
	if err := list.load(); err != nil {
		t.Fatal(err)
	}
	return list
}

// emptyTorrents is offlineTorrents without reading the records.
func emptyTorrents(state string, folders ...DownloadFolder) *Torrents {
	return &Torrents{
		env: testEnv(), store: torrentStore{dir: filepath.Join(state, "torrents")}, claims: filepath.Join(state, "get"), state: state,
		folders: folderRules{folders: folders, unnamed: filepath.Join(state, "downloads"), state: state},
		sources: source.Resolver{Notef: func(string, ...any) {}},
		taken:   func(spate.InfoHash) string { return "" }, event: func(string, *TorrentInfo) {}, timed: (*timed)(nil).forLabel,
		work: make(chan struct{}, 1), previews: make(chan struct{}, 1), by: map[spate.InfoHash]*addedTorrent{}, entering: map[spate.InfoHash]bool{},
	}
}

// torrentOf writes data with two files below dir/t, and returns the torrent of it.
func torrentOf(t *testing.T, dir string) (b []byte, mi *metainfo.MetaInfo) {
	t.Helper()
	for name, n := range map[string]int{"a": 40_000, "b": 30_000} {
		data := make([]byte, n)
		rand.NewChaCha8([32]byte{byte(n)}).Read(data)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "t"), 0o777), os.WriteFile(filepath.Join(dir, "t", name), data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	made, err := maker.Make(t.Context(), filepath.Join(dir, "t"), maker.Options{NoDate: true})
	if err != nil {
		t.Fatal(err)
	}
	if b, err = made.Bytes(); err != nil {
		t.Fatal(err)
	}
	return b, made
}

// TestAddRefusesForeignRequests checks that requests make the daemon read no files, that requests of
// other machines reach no private address, and that these store nothing outside of the folders.
func TestAddRefusesForeignRequests(t *testing.T) {
	t.Parallel()
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer s.Close()
	state, dir, elsewhere := t.TempDir(), t.TempDir(), t.TempDir()
	b, _ := torrentOf(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "x.torrent"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "films")
	if err := errors.Join(os.Mkdir(folder, 0o777), os.Symlink(elsewhere, filepath.Join(folder, "out"))); err != nil {
		t.Fatal(err)
	}
	list := offlineTorrents(t, state, DownloadFolder{Dir: folder})
	list.folders.watched = []WatchedFolder{{Dir: filepath.Join(folder, "watched")}}
	for what, q := range map[string]AddRequest{
		"a path":                       {Source: filepath.Join(dir, "x.torrent")},
		"a file URL":                   {Source: "file://" + filepath.Join(dir, "x.torrent")},
		"standard input":               {Source: "-"},
		"a private address":            {Source: s.URL + "/x.torrent", Remote: true},
		"the same without a scheme":    {Source: strings.TrimPrefix(s.URL, "http://") + "/x.torrent", Remote: true},
		"another directory":            {Torrent: b, Dir: elsewhere, Remote: true},
		"a path with dots":             {Torrent: b, Dir: folder + "/../../" + filepath.Base(elsewhere), Remote: true},
		"a link out of the folder":     {Torrent: b, Dir: filepath.Join(folder, "out", "x"), Remote: true},
		"a relative path":              {Torrent: b, Dir: "films"},
		"a watched folder":             {Torrent: b, Dir: filepath.Join(folder, "watched"), Remote: true},
		"the state":                    {Torrent: b, Dir: filepath.Join(state, "torrents")},
		"a label that looks like dirs": {Torrent: b, TorrentOptions: TorrentOptions{Label: "../x"}},
		"a negative rate":              {Torrent: b, TorrentOptions: TorrentOptions{Up: -1}},
		"a selection of nothing":       {Torrent: b, TorrentOptions: TorrentOptions{Select: []string{"none"}}},
		"no torrent":                   {Torrent: []byte("d1:ae")},
	} {
		if i, err := list.Add(t.Context(), q); err == nil {
			t.Errorf("%s was added: %+v", what, i)
		}
	}
	if asked {
		t.Error("a request of another machine reached a private address")
	}
	if files, err := os.ReadDir(elsewhere); err != nil || len(files) > 0 {
		t.Errorf("something was made in the other directory: %v, %v", files, err)
	}
	if files, _ := os.ReadDir(list.store.dir); len(files) > 0 {
		t.Errorf("something was recorded: %v", files)
	}
	i, err := list.Add(t.Context(), AddRequest{Torrent: b, Dir: filepath.Join(folder, "new"), Remote: true, Paused: true})
	if err != nil || i.Dir != filepath.Join(folder, "new") {
		t.Errorf("a directory in the folder: %+v, %v", i, err)
	}
	if err := list.Move(t.Context(), i.InfoHash, elsewhere, true); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a move out of the folders: %v", err)
	}
	magnet := "magnet:?xt=urn:btih:" + strings.Repeat("1", 40) + "&x.pe=127.0.0.1:22"
	if i, err := list.Add(t.Context(), AddRequest{Source: magnet, Remote: true}); err != nil || strings.Contains(i.Magnet, "x.pe") {
		t.Errorf("a magnet link: %+v, %v", i, err)
	}
	var refused *netguard.AddressError
	if _, err := list.Add(t.Context(), AddRequest{Source: s.URL + "/y", Remote: true}); !errors.As(err, &refused) {
		t.Errorf("a private address: %v", err)
	}
}

// TestAddedState checks that a torrent is found again by another process, in its place of the queue
// and with its options, and that damaged and foreign files of the directory do no harm.
func TestAddedState(t *testing.T) {
	t.Parallel()
	state, dir := t.TempDir(), t.TempDir()
	b, mi := torrentOf(t, dir)
	list := offlineTorrents(t, state, DownloadFolder{"films", dir})
	var hashes []string
	for _, q := range []AddRequest{
		{Source: "magnet:?xt=urn:btih:" + strings.Repeat("a", 40) + "&dn=first"},
		{Torrent: b, Paused: true, TorrentOptions: TorrentOptions{Label: "films", Ratio: 1.5, Files: []FileRule{{"a", "high"}}}},
		{Source: strings.Repeat("c", 40)},
	} {
		i, err := list.Add(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, i.InfoHash)
	}
	last := 0
	if err := list.Change(t.Context(), "ccccccc", TorrentChange{Place: &last}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{strings.Repeat("d", 40) + ".torrent", strings.Repeat("e", 40) + ".json", ".spate-1.new", "README"} {
		if err := os.WriteFile(filepath.Join(list.store.dir, name), []byte("{"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	again := offlineTorrents(t, state)
	all, total := again.List(TorrentList{})
	if total != 3 || len(all) != 3 || all[0].InfoHash != hashes[2] || all[1].Name != "first" || all[2].InfoHash != hashes[1] {
		t.Fatalf("the list after the restart is %+v", all)
	}
	if i := all[2]; i.Dir != dir || i.State != TorrentPaused || i.Label != "films" || i.Ratio != 1.5 || i.TotalLength != mi.Info.DataLength() || i.NumFiles != 2 {
		t.Errorf("the torrent after the restart is %+v", i)
	}
	d, err := again.Details(mi.Info.Name)
	if err != nil || len(d.Files) != 2 || d.Files[0].Priority != "high" || d.Files[1].Priority != "normal" {
		t.Errorf("its files are %+v, %v", d.Files, err)
	}
	if page, total := again.List(TorrentList{Offset: 1, Limit: 1}); total != 3 || len(page) != 1 || page[0].Name != "first" {
		t.Errorf("the second page is %+v of %d", page, total)
	}
	if page, total := again.List(TorrentList{State: TorrentPaused}); total != 1 || len(page) != 1 {
		t.Errorf("the paused ones are %+v of %d", page, total)
	}
	entries, _ := os.ReadDir(list.store.dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); len(names) != 6 || !strings.Contains(got, "README") || !strings.Contains(got, ".damaged") || strings.Contains(got, "ddd") {
		t.Errorf("the directory contains %s", got)
	}
}

// TestListOfMany checks that a list of 10,000 torrents is quick: it opens no file and asks no peer.
func TestListOfMany(t *testing.T) {
	const n = 10_000
	list := offlineTorrents(t, t.TempDir())
	for i := range n {
		ih := spate.InfoHash{byte(i), byte(i >> 8), 1}
		e := &addedTorrent{rec: torrentRecord{InfoHash: ih, Known: true, Name: ih.String(), Dir: "/d", DataName: "x", Length: 1 << 30, Place: i}, phase: phaseQueued}
		list.by[ih] = e
		list.order = append(list.order, e)
	}
	var all []TorrentInfo
	allocs := testing.AllocsPerRun(1, func() { all, _ = list.List(TorrentList{}) })
	if len(all) != n || allocs > 10*n {
		t.Errorf("a list of %d torrents makes %.0f allocations", len(all), allocs)
	}
}

// TestWritesLeaveTheListFree checks that the lock of the list is not held while a record is written or
// removed, so that lists are quick beside writes.
func TestWritesLeaveTheListFree(t *testing.T) {
	t.Parallel()
	list := offlineTorrents(t, t.TempDir())
	writes := 0
	list.store.writing = func() {
		writes++
		if !list.mu.TryLock() {
			t.Error("the list is locked during a write")
			return
		}
		list.mu.Unlock()
	}
	b, mi := torrentOf(t, t.TempDir())
	first, label := 0, "films"
	var err error
	for i := range 3 {
		_, addErr := list.Add(t.Context(), AddRequest{Source: strings.Repeat(fmt.Sprint(i+1), 40), Paused: true})
		err = errors.Join(err, addErr)
	}
	_, addErr := list.Add(t.Context(), AddRequest{Torrent: b, Paused: true})
	ref := mi.Hash().String()
	err = errors.Join(err, addErr, list.Change(t.Context(), ref, TorrentChange{Label: &label, Place: &first}), list.Remove(t.Context(), ref, false))
	if err != nil || writes < 8 {
		t.Errorf("%d writes, %v", writes, err)
	}
}

// TestEnterTwice checks that requests at the same time enter a torrent once, and that the queue is in
// the order of the places.
func TestEnterTwice(t *testing.T) {
	t.Parallel()
	list := offlineTorrents(t, t.TempDir())
	var wg sync.WaitGroup
	var added, twice atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			_, err := list.Add(t.Context(), AddRequest{Source: fmt.Sprintf("%040x", i%5+1), Paused: true})
			switch fault.CodeOf(err) {
			case fault.Exists:
				twice.Add(1)
			case fault.Unset:
				added.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, _ := list.List(TorrentList{})
	ordered := slices.IsSortedFunc(all, func(a, b TorrentInfo) int { return a.Place - b.Place })
	if added.Load() != 5 || twice.Load() != 15 || len(all) != 5 || !ordered {
		t.Errorf("%d were added and %d refused; the list is %+v", added.Load(), twice.Load(), all)
	}
}

// TestRemovedTorrentDoesNotStart checks that a start that waits while the torrent is removed does
// nothing, although the torrent is added again at once, and that a stopped start does nothing.
func TestRemovedTorrentDoesNotStart(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"removed", "stopped"} {
		list := offlineTorrents(t, t.TempDir())
		list.checks = make(chan struct{}, maxChecks)
		dir := t.TempDir()
		b, mi := torrentOf(t, dir)
		if _, err := list.Add(t.Context(), AddRequest{Torrent: b, Dir: dir}); err != nil {
			t.Fatal(err)
		}
		e := list.by[mi.Hash()]
		if err := list.update(e, func(r *torrentRecord) { r.DataName = "t" }); err != nil { // it has run before
			t.Fatal(err)
		}
		e.op.Lock()
		list.mu.Lock()
		list.startLocked(t.Context(), e)
		list.mu.Unlock()
		if what == "stopped" {
			list.cancelStart(e)
		} else {
			if err := list.removeHeld(e); err != nil {
				t.Fatal(err)
			}
			if _, err := list.Add(t.Context(), AddRequest{Torrent: b, Dir: dir}); err != nil {
				t.Fatal(err)
			}
		}
		e.op.Unlock()
		list.tasks.Wait() // a start would fail here, because there is no engine
		if claims, _ := os.ReadDir(list.claims); len(claims) > 0 || e.err != nil || e.phase != phaseIdle {
			t.Errorf("%s: the data is claimed by %v, phase %d, %v", what, claims, e.phase, e.err)
		}
	}
}

// allPieces returns the set of all pieces of mi.
func allPieces(mi *metainfo.MetaInfo) bitfield.Bitfield {
	have := bitfield.New(mi.Info.NumPieces())
	have.SetAll()
	return have
}

// movedData is the torrent of the tests of moves and removals.
type movedData struct {
	b    []byte
	mi   *metainfo.MetaInfo
	dir  string // its data is in dir/t
	want map[string][]byte
}

// newMovedData makes data, and the resume data of an engine that has verified it.
func newMovedData(t *testing.T, state string) *movedData {
	t.Helper()
	m := &movedData{dir: filepath.Join(state, "..", "old"), want: map[string][]byte{}}
	m.dir = filepath.Clean(m.dir)
	m.b, m.mi = torrentOf(t, m.dir)
	for _, name := range []string{"a", "b"} {
		m.want[name], _ = os.ReadFile(filepath.Join(m.dir, "t", name))
	}
	store := filepath.Join(state, "torrents")
	if err := os.MkdirAll(store, 0o777); err != nil {
		t.Fatal(err)
	}
	files, err := storage.OpenDir(m.dir, &m.mi.Info, storage.NewPool(0), storage.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	stats, err := files.Stats()
	if err != nil {
		t.Fatal(err)
	}
	rec := &storage.Record{InfoHash: m.mi.Hash(), Have: allPieces(m.mi), Files: stats, Clean: true, Dir: m.dir, Name: "t"}
	if err := storage.SaveResume(store, rec); err != nil {
		t.Fatal(err)
	}
	return m
}

// holds reports whether all data is in dir/t, or "some" or "none" of it.
func (m *movedData) holds(dir string) string {
	found := 0
	for name, want := range m.want {
		if b, err := os.ReadFile(filepath.Join(dir, "t", name)); err == nil && bytes.Equal(b, want) {
			found += 2
		} else if err == nil {
			found++
		}
	}
	switch found {
	case 0:
		return "none"
	case 2 * len(m.want):
		return "all"
	}
	return "some"
}

// operate adds the torrent, moves its data to dir, and removes both. It calls did after each.
func (m *movedData) operate(ctx context.Context, list *Torrents, dir string, did func(string)) error {
	i, err := list.Add(ctx, AddRequest{Torrent: m.b, Dir: m.dir, Paused: true})
	if err != nil {
		return err
	}
	if err := list.update(list.by[m.mi.Hash()], func(r *torrentRecord) { r.DataName = "t" }); err != nil {
		return err
	}
	did("added")
	if err := list.Move(ctx, i.InfoHash, dir, false); err != nil {
		return err
	}
	did("moved")
	if err := list.Remove(ctx, i.InfoHash, true); err != nil {
		return err
	}
	did("removed")
	return nil
}

// TestMoveKeepsResume checks that renamed data is not checked again, that nothing is moved over
// existing files, and that only files of the torrent are deleted.
func TestMoveKeepsResume(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	state := filepath.Join(top, "state")
	list := offlineTorrents(t, state)
	m := newMovedData(t, state)
	to := filepath.Join(top, "new")
	i, err := list.Add(t.Context(), AddRequest{Torrent: m.b, Dir: m.dir, Paused: true})
	if err != nil {
		t.Fatal(err)
	}
	list.update(list.by[m.mi.Hash()], func(r *torrentRecord) { r.DataName = "t" })
	if err := os.MkdirAll(filepath.Join(to, "t"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := list.Move(t.Context(), "t", to, false); fault.CodeOf(err) != fault.Exists || m.holds(m.dir) != "all" {
		t.Errorf("a move to an existing path: %v, the old directory holds %s", err, m.holds(m.dir))
	}
	if err := errors.Join(os.Remove(filepath.Join(to, "t")), list.Move(t.Context(), "t", to, false)); err != nil || m.holds(to) != "all" || m.holds(m.dir) != "none" {
		t.Fatalf("the move: %v, the new directory holds %s, the old one %s", err, m.holds(to), m.holds(m.dir))
	}
	rec, err := storage.LoadResume(list.store.dir, m.mi.Hash())
	if err != nil || rec.Dir != to || !rec.Have.All() {
		t.Errorf("the resume data is %+v, %v", rec, err)
	}
	if err := os.WriteFile(filepath.Join(to, "t", "mine"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := list.Remove(t.Context(), i.InfoHash[:8], true); err != nil || m.holds(to) != "none" {
		t.Errorf("the removal: %v, the directory holds %s", err, m.holds(to))
	}
	if _, err := os.Lstat(filepath.Join(to, "t", "mine")); err != nil {
		t.Errorf("another file was deleted: %v", err)
	}
	if files, _ := os.ReadDir(list.store.dir); len(files) > 0 {
		t.Errorf("the records contain %v", files)
	}
}

// TestRemoveLeavesForeignData checks that the removal of a torrent that never ran deletes no file.
func TestRemoveLeavesForeignData(t *testing.T) {
	t.Parallel()
	state, dir := t.TempDir(), t.TempDir()
	b, mi := torrentOf(t, dir)
	list := offlineTorrents(t, state)
	i, err := list.Add(t.Context(), AddRequest{Torrent: b, Dir: dir, Paused: true})
	if err != nil {
		t.Fatal(err)
	}
	list.update(list.by[mi.Hash()], func(r *torrentRecord) { r.DataName = "t" })
	if err := list.Remove(t.Context(), i.InfoHash, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "t", "a")); err != nil {
		t.Errorf("a file that the torrent did not write is gone: %v", err)
	}
}
