package tui

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the screens in testdata anew")

// fakeSource is a source with fixed content.
type fakeSource struct {
	torrents []Torrent
	detail   map[string]*Detail
	err      error
	paused   []string
}

func (w *fakeSource) List(context.Context) ([]Torrent, error) { return w.torrents, w.err }
func (w *fakeSource) Detail(_ context.Context, id string) (*Detail, error) {
	return w.detail[id], w.err
}
func (w *fakeSource) Pause(_ context.Context, id string, p bool) error {
	w.paused = append(w.paused, fmt.Sprint(id, p))
	return nil
}

// newFakeSource returns a source with a download that has all details, a seed, and a
// failed torrent.
func newFakeSource() *fakeSource {
	pieces := make([]Piece, 1500)
	for i := range pieces {
		switch {
		case i < 700 || i%5 == 0:
			pieces[i] = Have
		case i < 760:
			pieces[i] = Open
		case i > 1400:
			pieces[i] = Skipped
		}
	}
	return &fakeSource{
		torrents: []Torrent{
			{ID: "a", Name: "debian-12-netinst.iso", State: "downloading", Size: 659_554_304, Done: 330_000_000, Fraction: 0.5003, Down: 12_345_678, Up: 1_234_567,
				Downloaded: 331_000_000, Uploaded: 40_000_000, Peers: 12, Seeds: 3, Known: 40, Left: 27 * time.Second},
			{ID: "b", Name: "evil\x1b[31m\u202ename\n" + strings.Repeat("very ", 50) + "long", State: "seeding", Size: 1000, Done: 1000, Fraction: 1, Uploaded: 5000, Left: -1},
			{ID: "c", Name: "砂の女 — a film", State: "failed", Err: "disk full", Size: 5_000_000_000, Done: 1, Left: -1},
		},
		detail: map[string]*Detail{
			"a": {
				Path: "/srv/downloads/debian-12-netinst.iso", Hash: "6f84758b0ddd8dc05840bf932a77935d8b5b8b93", Pieces: pieces,
				Files: []File{{"debian-12-netinst.iso", 600_000_000, 330_000_000, false}, {"docs/README", 0, 0, false}, {"docs/manual.txt", 59_554_304, 10, true}},
				Peers: []Peer{
					{Addr: "192.0.2.7:6881", Client: "Transmission 4.0", Have: 1, Down: 9e6, Unchoked: false},
					{Addr: "[2001:db8::1]:51413", Client: "evil\x1b]0;title\x07", UTP: true, Incoming: true, Have: 0.333, Down: 3e6, Up: 1e6, Unchoked: true, Choked: true},
				},
				Trackers: []Tracker{{URL: "http://tracker.example.org:6969/announce", Counts: "3 seeds, 9 leechers", Next: time.Unix(1000+600, 0)}, {URL: "udp://dead.example.org:80", Says: "no answer", Bad: true}},
			},
			"b": {Files: []File{}, Peers: []Peer{}, Trackers: []Tracker{}},
		},
	}
}

// newScreen returns the screen of a source after some refreshes.
func newScreen(t *testing.T, w Source, width, height, refreshes int) *model {
	log := &Log{}
	fmt.Fprintln(log, "first line\nevil \x1b[2J line")
	m := newModel(t.Context(), w, Options{Title: "get debian-12-netinst.iso", Log: log, Now: func() time.Time { return time.Unix(1000, 0) }})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	for range refreshes {
		m.Update(m.refresh(true)())
	}
	return m
}

// press sends keys to the model.
func press(m *model, keys ...tea.KeyPressMsg) {
	for _, k := range keys {
		for _, cmd := m.Update(k); cmd != nil; {
			_, cmd = m.Update(cmd())
		}
	}
}

// rune1 returns the press of a key with one character.
func rune1(r rune) tea.KeyPressMsg { return tea.KeyPressMsg{Code: r, Text: string(r)} }

// check checks that a screen has the right size and that names are escaped.
func check(t *testing.T, m *model) string {
	t.Helper()
	s := m.screen()
	lines := strings.Split(s, "\n")
	if len(lines) != m.height && m.height >= leastHeight && m.width >= leastWidth {
		t.Errorf("%d×%d: %d lines", m.width, m.height, len(lines))
	}
	for _, l := range lines {
		if n := ansi.StringWidth(l); n > m.width {
			t.Errorf("%d×%d: a line is %d wide: %q", m.width, m.height, n, ansi.Strip(l))
		}
	}
	plain := ansi.Strip(s)
	if strings.ContainsAny(plain, "\x1b\x07\u202e") || strings.Contains(s, "\x1b[31mname") || strings.Contains(s, "\x1b[2J") || strings.Contains(s, "\x1b]0;") {
		t.Errorf("the screen has an unescaped name: %q", s)
	}
	var out []string
	for _, l := range strings.Split(plain, "\n") {
		out = append(out, strings.TrimRight(l, " "))
	}
	return strings.Join(out, "\n") + "\n"
}

// TestScreens checks every view in two sizes against golden files.
func TestScreens(t *testing.T) {
	for _, dims := range [][2]int{{80, 24}, {200, 50}} {
		m := newScreen(t, newFakeSource(), dims[0], dims[1], 7)
		for v := range numViews {
			press(m, rune1('1'+rune(v)))
			name := fmt.Sprintf("%s-%dx%d.txt", v, dims[0], dims[1])
			got := check(t, m)
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the screen differs from %s (go test ./internal/tui -update rewrites it):\n%s", name, got)
			}
		}
	}
}

// TestSizes checks that every view fits into screens of many sizes.
func TestSizes(t *testing.T) {
	for width := 1; width < 130; width += 3 {
		for height := 1; height < 40; height += 2 {
			m := newScreen(t, newFakeSource(), width, height, 2)
			for range 3 {
				for range numViews {
					press(m, tea.KeyPressMsg{Code: tea.KeyTab})
					check(t, m)
				}
				press(m, tea.KeyPressMsg{Code: tea.KeyDown}, rune1('?'))
			}
		}
	}
}

// TestKeys checks the keys that select, pause and quit.
func TestKeys(t *testing.T) {
	w := newFakeSource()
	m := newScreen(t, w, 80, 24, 1)
	press(m, tea.KeyPressMsg{Code: tea.KeyDown})
	if m.id != "b" {
		t.Errorf("down selects %q", m.id)
	}
	// A view of a torrent can be chosen before its details are loaded.
	m.Update(tea.KeyPressMsg{Code: tea.KeyUp})
	m.Update(rune1('2'))
	if m.view != filesView {
		t.Errorf("2 shows %v", m.view)
	}
	m.refreshing = false // the result of that refresh is late
	m.Update(m.refresh(true)())
	press(m, tea.KeyPressMsg{Code: tea.KeyDown})
	// The selection follows its torrent when the list changes.
	w.torrents = append([]Torrent{{ID: "0", Name: "new"}}, w.torrents...)
	m.Update(m.refresh(true)())
	if m.selected != 2 || m.id != "b" {
		t.Errorf("after a new torrent, number %d is selected: %q", m.selected, m.id)
	}
	press(m, rune1('p'))
	if len(w.paused) != 1 || w.paused[0] != "btrue" {
		t.Errorf("paused: %q", w.paused)
	}
	// If the selected torrent is removed, a torrent near it is selected.
	w.torrents = w.torrents[:2]
	m.Update(m.refresh(true)())
	if m.id != "a" {
		t.Errorf("after the selected torrent was removed, %q is selected", m.id)
	}
	w.torrents = nil
	m.Update(m.refresh(true)())
	if s := check(t, m); !strings.Contains(s, "no torrents") {
		t.Errorf("an empty list:\n%s", s)
	}
	if _, cmd := m.Update(rune1('q')); cmd == nil {
		t.Error("q does nothing")
	} else if _, quit := cmd().(tea.QuitMsg); !quit {
		t.Error("q does not quit")
	}
	w.err = errors.New("the daemon\x1b[2J went away")
	m.Update(m.refresh(true)())
	if s := check(t, m); !strings.Contains(s, `the daemon\x1b[2J went away`) {
		t.Errorf("an error is not shown:\n%s", s)
	}
}

// noPauser hides the Pause method of a source.
type noPauser struct{ Source }

// TestRun checks that the program ends with the key q and with a cancelled context.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), noPauser{newFakeSource()}, Options{Title: "x", Input: in, Output: &out, Environ: []string{"TERM=xterm", "NO_COLOR=1"}, Every: time.Millisecond})
	}()
	keys.WriteString("3q")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "\x1b[?1049h") || !strings.Contains(s, "\x1b[?1049l") {
		t.Errorf("the alternate screen is not entered and left: %q", s)
	} else if strings.Contains(s, "\x1b[36m") {
		t.Error("the output has colours although NO_COLOR is set")
	}
	keys.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in2, keys2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in2.Close()
	defer keys2.Close()
	if err := Run(ctx, newFakeSource(), Options{Input: in2, Output: &bytes.Buffer{}, Environ: []string{"TERM=xterm"}}); err != nil {
		t.Error(err)
	}
}

// TestPieceMap checks the map of pieces.
func TestPieceMap(t *testing.T) {
	if rows, each := pieceMap(make([]Piece, 10), 4, 2); len(rows) != 2 || each != 2 || rows[0] != "····" || rows[1] != "·" {
		t.Errorf("%q, %d each", rows, each)
	}
	for want, pieces := range map[rune][]Piece{
		'█': {Have, Have, Skipped}, '·': {Missing}, '◦': {Open, Missing}, ' ': {Skipped}, '░': {Have, Missing, Missing, Missing}, '▓': {Have, Have, Missing}, '▒': {Have, Open, Have, Open},
	} {
		if got := cell(pieces); got != want {
			t.Errorf("%v is %c, want %c", pieces, got, want)
		}
	}
}

// TestText checks the functions that format texts.
func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{fit("abc", 5), "abc  "}, {fit("abcdef", 4), "abc…"}, {fit("砂の女", 5), "砂の…"}, {fit("x", 0), ""}, {right("abc", 5), "  abc"},
		{fitMiddle("/a/very/long/path/name", 11), "/a/ve…/name"}, {bar(0.5, 4), "██░░"}, {bar(2, 3), "███"}, {bar(0.3, 4), "█▏░░"},
		{percent(0.9999), "99.9 %"}, {percent(1), "100 %"}, {duration(-1), "·"}, {duration(3725 * time.Second), "1h02m"}, {rate(0), "·"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if s, top := sparkline([]float64{0, 5, 10}, 5); s != "  ▁▅█" || top != 10 {
		t.Errorf("%q, %v", s, top)
	}
}

// TestLog checks that the log keeps the last lines.
func TestLog(t *testing.T) {
	l := &Log{}
	for i := range logLines + 10 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	if lines := l.Lines(); len(lines) != logLines || lines[0] != "line 10" {
		t.Errorf("%d lines, the first %q", len(lines), lines[0])
	}
}

// TestOverviewSaysWhyATorrentStalls checks that the overview wraps the reason and cuts nothing.
func TestOverviewSaysWhyATorrentStalls(t *testing.T) {
	w := newFakeSource()
	reason := "3 known peers, none reached: 1 timed out, 1 refused, 1 closed without a handshake"
	w.detail["a"].Stall = []string{reason, "forward a port"}
	text := ansi.Strip(newScreen(t, w, 60, 40, 1).screen())
	_, text, found := strings.Cut(text, "stalled")
	if words := strings.Join(strings.Fields(text), " "); !found || !strings.HasPrefix(words, reason+" forward a port done") {
		t.Errorf("the overview says %q", words)
	}
}
