package takeover

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/bitfield"
	"spate/maker"
	"spate/metainfo"
)

func noEnv(string) string { return "" }

// describe returns what a test compares of a torrent.
func describe(t *Torrent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s", t.Name, t.Dir)
	if t.Kept.Name != "" {
		fmt.Fprintf(&b, " as %s", t.Kept.Name)
	}
	for _, i := range slices.Sorted(maps.Keys(t.Kept.Paths)) {
		fmt.Fprintf(&b, " %d=%s", i, t.Kept.Paths[i])
	}
	if t.info != nil {
		have, _ := bitfield.FromBytes(t.Kept.Have, t.info.Info.NumPieces())
		fmt.Fprintf(&b, ", %d of %d pieces, trackers %v", max(have.Count(), 0), t.info.Info.NumPieces(), t.info.AnnounceList)
	}
	fmt.Fprintf(&b, ", paused %t, label %q, up %d, ratio %g, rules %v, %s", t.Paused, t.Label, t.Up, t.Ratio, t.Rules, t.Magnet)
	if t.Err != nil {
		fmt.Fprintf(&b, ", error %v", t.Err)
	}
	return b.String()
}

// TestReadRealStates checks what is read of the files that Transmission 3.00 and qBittorrent 4.5.2 have
// written: complete, half done, with selected, renamed and incomplete files, paused, labelled,
// limited, and a magnet link.
func TestReadRealStates(t *testing.T) {
	t.Parallel()
	const tracker = ", trackers [[http://127.0.0.1:9/announce]]"
	link := "magnet:?xt=urn:btih:1111111111111111111111111111111111111111&dn=linkonly&tr=http%3A%2F%2F127.0.0.1%3A9%2Fannounce"
	for _, c := range []struct {
		program, dir string
		want         []string
		settings     string
	}{
		{"transmission", "testdata/transmission", []string{
			"done in /srv/dl as finished, 23 of 23 pieces" + tracker + `, paused false, label "films", up 77000, ratio 0, rules [], `,
			"half in /srv/dl as half 0=first, 17 of 23 pieces" + tracker + `, paused false, label "", up 0, ratio 3.5, rules [], `,
			`linkonly in /srv/dl, paused false, label "", up 0, ratio 2.5, rules [], ` + link,
			"paused in /srv/films, 12 of 12 pieces" + tracker + `, paused true, label "", up 0, ratio 2.5, rules [], `,
			"renamed.bin in /srv/dl as other.bin, 10 of 10 pieces" + tracker + `, paused false, label "", up 0, ratio 2.5, rules [], `,
			"sel in /srv/dl, 22 of 46 pieces" + tracker + `, paused false, label "", up 0, ratio 2.5, rules [{* skip} {/one high} {/sub/four normal}], `,
			"single.bin in /srv/dl, 4 of 10 pieces" + tracker + `, paused false, label "", up 0, ratio 2.5, rules [], `,
		}, `download-dir = ["/srv/dl"]; encryption = "prefer"; max-downloads = 5; no-dht = true; no-lsd = true; no-pex = true; no-portmap = true; no-utp = true; peer-port = 15413; up = "500k"`},
		{"qbittorrent", "testdata/qbittorrent", []string{
			"done in /srv/qdl as finished, 23 of 23 pieces" + tracker + `, paused false, label "nice", up 77000, ratio 2, rules [], `,
			"half in /srv/qdl as half 0=first, 17 of 23 pieces" + tracker + `, paused false, label "", up 0, ratio 3.5, rules [], `,
			`linkonly in /srv/qdl, paused false, label "", up 0, ratio 2, rules [], ` + link,
			"paused in /srv/films, 12 of 12 pieces" + tracker + `, paused true, label "films", up 0, ratio 2, rules [], `,
			"renamed.bin in /srv/qdl as other.bin, 0 of 10 pieces" + tracker + `, paused false, label "", up 0, ratio 2, rules [], `,
			"sel in /srv/qdl as sel, 22 of 46 pieces" + tracker + `, paused false, label "", up 0, ratio 2, rules [{* skip} {/one max} {/sub/four normal}], `,
			"single.bin in /srv/qdl as single.bin, 4 of 10 pieces" + tracker + `, paused false, label "", up 0, ratio 2, rules [], `,
		}, `download-dir = ["/srv/qdl","films=/srv/films"]; no-dht = true; no-lsd = true; no-pex = true; no-portmap = true; peer-port = 15881; up = "307200"`},
	} {
		s, err := Read(c.program, c.dir, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range s.Torrents {
			got = append(got, describe(&s.Torrents[i]))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the torrents are\n%s\nwant\n%s", c.program, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		var settings []string
		for _, l := range s.Settings {
			settings = append(settings, l.Name+" = "+l.Value)
		}
		if got := strings.Join(settings, "; "); got != c.settings {
			t.Errorf("%s: the settings are\n%s\nwant\n%s", c.program, got, c.settings)
		}
	}
}

// made makes a torrent of two files of 40,000 and 30,000 bytes below dir/t, with pieces of 16 KiB.
func made(t *testing.T, dir string) *metainfo.MetaInfo {
	t.Helper()
	err := os.MkdirAll(filepath.Join(dir, "t"), 0o777)
	for name, n := range map[string]int{"a": 40_000, "b": 30_000} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "t", name), bytes.Repeat([]byte(name), n), 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
	mi, err := maker.Make(t.Context(), filepath.Join(dir, "t"), maker.Options{NoDate: true, PieceLength: 16 << 10, Format: metainfo.V1})
	if err != nil {
		t.Fatal(err)
	}
	return mi
}

// TestMatch checks which pieces are trusted, checked and missing, by what became of the files.
func TestMatch(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name         string
		change       func(dir string, k *Kept) error
		skip         []bool
		done, unsure int64
		gone         int
	}{
		{name: "as it was", change: func(string, *Kept) error { return nil }, done: 70_000},
		{name: "one file is modified", change: func(dir string, _ *Kept) error {
			return os.Chtimes(filepath.Join(dir, "t", "b"), time.Time{}, time.Now())
		}, done: 2 * 16384, unsure: 30_000},
		{name: "one file is gone", change: func(dir string, _ *Kept) error { return os.Remove(filepath.Join(dir, "t", "b")) }, done: 2 * 16384, gone: 1},
		{name: "all is gone", change: func(dir string, _ *Kept) error { return os.RemoveAll(dir) }, gone: 2},
		{name: "one file is cut", change: func(dir string, _ *Kept) error {
			p := filepath.Join(dir, "t", "b")
			return errors.Join(os.Truncate(p, 100), os.Chtimes(p, old, old))
		}, done: 2 * 16384, unsure: 100},
		{name: "one file is longer", change: func(dir string, _ *Kept) error {
			p := filepath.Join(dir, "t", "b")
			return errors.Join(os.Truncate(p, 30_001), os.Chtimes(p, old, old))
		}, done: 2 * 16384, unsure: 30_000},
		{name: "an unwanted file is gone", change: func(dir string, _ *Kept) error { return os.Remove(filepath.Join(dir, "t", "b")) }, skip: []bool{false, true}, done: 2 * 16384},
		{name: "nothing is known", change: func(_ string, k *Kept) error { k.Have = nil; return nil }, unsure: 70_000},
		{name: "no times are known", change: func(_ string, k *Kept) error { k.Until = nil; return nil }, unsure: 70_000},
		{name: "the files are incomplete", change: func(dir string, k *Kept) error {
			return os.Rename(filepath.Join(dir, "t", "b"), filepath.Join(dir, "t", "b.part"))
		}, done: 70_000},
		{name: "everything is renamed", change: func(dir string, k *Kept) error {
			k.Name, k.Paths = "u", map[int]string{1: "c/d"}
			return errors.Join(os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "u")), os.Mkdir(filepath.Join(dir, "u", "c"), 0o777),
				os.Rename(filepath.Join(dir, "u", "b"), filepath.Join(dir, "u", "c", "d.part")))
		}, done: 70_000},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		mi := made(t, dir)
		have := bitfield.New(mi.Info.NumPieces())
		have.SetAll()
		k := &Kept{Partial: ".part", Have: have.Bytes(), Until: []int64{old.Unix(), old.Unix()}}
		for _, n := range []string{"a", "b"} {
			if err := os.Chtimes(filepath.Join(dir, "t", n), old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(c.change(dir, k), k.Check(mi)); err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"before", "after"} {
			m, err := k.Match(mi, dir, c.skip)
			if err != nil || m.Done != c.done || m.Unsure != c.unsure || m.Gone != c.gone {
				t.Errorf("%s, %s the incomplete files are renamed: %d bytes done, %d unsure, %d files gone, %v; want %d, %d and %d", c.name, step, m.Done, m.Unsure, m.Gone, err, c.done, c.unsure, c.gone)
			}
			if step == "before" && c.gone < 2 {
				if _, err := k.EndPartial(mi, dir); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestMatchLeavesTheDirectory checks that paths that lead out of the directory are refused.
func TestMatchLeavesTheDirectory(t *testing.T) {
	t.Parallel()
	mi := made(t, t.TempDir())
	for _, k := range []Kept{{Name: ".."}, {Name: "a/b"}, {Name: "."}, {Partial: "/../x"}, {Paths: map[int]string{0: "../a"}}, {Paths: map[int]string{0: "/a"}},
		{Paths: map[int]string{5: "a"}}, {Paths: map[int]string{-1: "a"}}, {Paths: map[int]string{0: "b"}}, {Paths: map[int]string{0: strings.Repeat("a", maxPaths+1)}}} {
		if k.Check(mi) == nil {
			t.Errorf("%.100v is accepted", k)
		}
	}
}

// TestTransmissionTimes checks until when files vouch, in the files of Transmission 3 and 4.
func TestTransmissionTimes(t *testing.T) {
	t.Parallel()
	tor := &Torrent{info: made(t, t.TempDir()), modified: 1000}
	blocks := string([]byte{0b11111000}) // of both files
	for _, c := range []struct {
		name     string
		progress dict
		want     []int64
		have     int
	}{
		{"version 3", dict{"blocks": "all", "time_checked": []any{int64(500), int64(600)}}, []int64{500, 600}, 5},
		{"version 3, never checked", dict{"blocks": blocks, "time_checked": []any{int64(0), int64(600)}}, []int64{0, 600}, 5},
		{"version 3, by piece", dict{"blocks": blocks, "time_checked": []any{[]any{int64(499), int64(1), int64(2), int64(3)}, []any{int64(499), int64(1), int64(0), int64(3)}}}, []int64{500, 0}, 5},
		{"version 3, incomplete", dict{"blocks": string([]byte{0b11110000}), "time_checked": []any{int64(500), int64(600)}}, []int64{500, 1000}, 4},
		{"version 4", dict{"blocks": blocks, "pieces": blocks, "mtimes": []any{int64(500), int64(600)}}, []int64{500, 600}, 5},
		{"version 4, not all checked", dict{"blocks": blocks, "pieces": string([]byte{0b11110000}), "mtimes": []any{int64(500), int64(600)}}, []int64{500, -1}, 5},
		{"a bitfield of another torrent", dict{"blocks": "xy"}, nil, 0},
		{"nothing", nil, nil, 0},
	} {
		tor.Kept = Kept{}
		have := tor.transmissionPieces(c.progress)
		if have.Count() != c.have || !slices.Equal(tor.Kept.Until, c.want) {
			t.Errorf("%s: %d pieces until %v, want %d until %v", c.name, have.Count(), tor.Kept.Until, c.have, c.want)
		}
	}
}

// TestRulesOfFiles checks that rules give each file its priority again.
func TestRulesOfFiles(t *testing.T) {
	t.Parallel()
	mi := &metainfo.MetaInfo{}
	var want []string
	add := func(p, priority string) {
		mi.Info.Files = append(mi.Info.Files, metainfo.File{Path: strings.Split(p, "/")})
		want = append(want, priority)
	}
	add("a", "normal")
	add("b[1]*?.txt", "skip")
	for i := range 2000 {
		add(fmt.Sprintf("d/e/%d", i), "skip")
	}
	add("d/f", "high")
	tor := &Torrent{info: mi}
	tor.setPriorities(slices.Clone(want))
	if len(tor.Rules) > 4 || tor.Paused {
		t.Errorf("the rules are %v", tor.Rules)
	}
	for i, f := range mi.Info.Files {
		got := "normal"
		for _, r := range tor.Rules {
			match, err := maker.Matcher([]string{r.Pattern})
			if err != nil {
				t.Fatal(err)
			}
			if match(f.DisplayPath()) {
				got = r.Priority
			}
		}
		if got != want[i] {
			t.Errorf("%s has the priority %s, want %s", f.DisplayPath(), got, want[i])
		}
	}
	many := &Torrent{info: mi}
	for i := range want {
		want[i] = []string{"normal", "skip", "normal"}[i%3]
	}
	many.setPriorities(want)
	if !many.Paused || len(many.Rules) > 0 || len(many.Notes) != 1 {
		t.Errorf("too many priorities make %d rules and the notes %q", len(many.Rules), many.Notes)
	}
}

// TestFilesOfOthersRefused checks that a torrent without a directory of its own is refused if another
// has data in the same directory.
func TestFilesOfOthersRefused(t *testing.T) {
	t.Parallel()
	at := t.TempDir()
	mi := made(t, t.TempDir())
	alone := Torrent{Dir: filepath.Join(at, "own"), info: mi}
	if err := alone.setPaths([]string{"a", "b"}, ""); err != nil || alone.Dir != at || alone.Kept.Name != "own" {
		t.Errorf("a torrent alone in a directory: %+v, %v", alone.Kept, err)
	}
	s := &State{Torrents: []Torrent{alone, {Dir: at}}}
	s.refuseMixed()
	if s.Torrents[0].Err != nil {
		t.Error(s.Torrents[0].Err)
	}
	s.Torrents = append(s.Torrents, Torrent{Dir: filepath.Join(at, "own")})
	s.refuseMixed()
	if s.Torrents[0].Err == nil || s.Torrents[2].Err != nil {
		t.Error("a torrent among the files of another is not refused")
	}
}

// TestRunning checks which command lines are those of a program that uses a directory.
func TestRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for line, want := range map[string]bool{
		"transmission-daemon\x00-f\x00-g\x00" + dir + "\x00": true, "transmission-daemon\x00--config-dir=" + dir: true, "transmission-daemon\x00-g\x00/elsewhere\x00": false,
		"transmission-daemon\x00-f\x00": false, "qbittorrent-nox\x00--profile=" + filepath.Dir(dir): true, "transmission-daemon\x00-g": true,
	} {
		if got := usesDir(&State{Dir: dir}, line); got != want {
			t.Errorf("%q uses the directory: %t", line, got)
		}
	}
	if !usesDir(&State{Dir: dir, usual: true}, "transmission-daemon\x00-f\x00") {
		t.Error("a process without a directory does not use the usual one")
	}
}

func usesDir(s *State, line string) bool { return !s.elsewhere([]byte(line)) }

func TestParseConf(t *testing.T) {
	t.Parallel()
	c := parseConf([]byte("[A]\nx\\y=\"a\\\"b, \\xe4\\\\c\"\n;z=1\nplain=/srv/a b\n[B]\nx\\y=2\n"))
	if want := (qbSettings{"A/x\\y": "a\"b, ä\\c", "A/plain": "/srv/a b", "B/x\\y": "2"}); !maps.Equal(c, want) {
		t.Errorf("the settings are %q, want %q", c, want)
	}
}

// FuzzState reads arbitrary resume files of both programs.
func FuzzState(f *testing.F) {
	for _, pattern := range []string{"testdata/transmission/resume/*", "testdata/qbittorrent/data/BT_backup/*.fastresume"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			b, _ := os.ReadFile(p)
			f.Add(b)
		}
	}
	mi, err := metainfo.ReadFile("testdata/transmission/torrents/d3f974d920f453ea3b509df1203260890fe513cc.torrent")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = placeholder(b)
		parseConf(b)
		for _, apply := range []func(*Torrent) error{
			func(tor *Torrent) error {
				r, err := decode(b, true)
				return errors.Join(err, tor.applyTransmission(r, dict{}))
			},
			func(tor *Torrent) error {
				r, err := decode(b, false)
				return errors.Join(err, tor.addTrackers(r), tor.applyQBittorrent(r, nil))
			},
		} {
			tor := &Torrent{info: mi, Dir: "/srv"}
			if apply(tor) != nil {
				continue
			}
			if err := tor.Kept.Check(mi); err == nil && !filepath.IsAbs(tor.Dir) {
				t.Errorf("the directory is %q", tor.Dir)
			}
			if _, err := tor.Kept.Match(mi, filepath.Join(t.TempDir(), "none"), nil); err != nil {
				t.Error(err)
			}
		}
	})
}
