package classic

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/legacy.md")

const page = "../../docs/legacy.md"

// TestPage checks that docs/legacy.md contains the tables of the code.
func TestPage(t *testing.T) {
	const mark = "<!-- the rest is written by: go test ./internal/classic -update -->\n\n"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, tables, ok := strings.Cut(string(b), mark)
	if !ok {
		t.Fatalf("%s does not contain the line %q", page, mark)
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if tables != Markdown() {
		t.Errorf("%s is outdated: run go test ./internal/classic -update", page)
	}
}

// TestTools checks the tables of the tools: each option has a unique and valid name, a
// meaning, a default of its kind, and a note if it has no effect.
func TestTools(t *testing.T) {
	for _, tool := range Tools() {
		if Lookup(tool.Name) == nil || Lookup(tool.Name+".py") == nil {
			t.Errorf("Lookup does not find %s", tool.Name)
		}
		seen := map[string]bool{}
		for _, o := range tool.Options {
			if seen[o.Name] || strings.Trim(o.Name, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" || o.Means == "" {
				t.Errorf("%s: option %q is repeated, has an invalid name, or has no meaning", tool.Name, o.Name)
			}
			seen[o.Name] = true
			if o.Default != "" {
				if err := o.check(o.Default); err != nil {
					t.Errorf("%s: %v", tool.Name, err)
				}
			}
			value := map[Kind]string{Text: "x", Int: "1", Float: "1.5"}[o.Kind]
			args := slices.Repeat([]string{"arg"}, tool.Min)
			_, _, notes, err := tool.Parse(append(args, "--"+o.Name, value))
			if err != nil || len(notes) != 0 == o.Works {
				t.Errorf("%s --%s: %v, notes %q", tool.Name, o.Name, err, notes)
			}
		}
	}
	if Lookup("spate") != nil || Lookup("") != nil {
		t.Error("Lookup finds a tool that does not exist")
	}
}

// TestParse checks the forms of options that command lines may have, and the errors.
func TestParse(t *testing.T) {
	get, track := Lookup("btdownloadheadless"), Lookup("bttrack.py")
	v, args, notes, err := get.Parse([]string{
		"--max-upload-rate", "-1", "x.torrent", "--saveas=a=b", "-i", "10.0.0.1", "--minport", "7", "--minport", "8",
		"--snub_time", "3", "--snub_time", "4",
	})
	if err != nil || !slices.Equal(args, []string{"x.torrent"}) {
		t.Fatalf("arguments %q, error %v", args, err)
	}
	if v.Float("max_upload_rate") != -1 || v.Text("saveas") != "a=b" || v.Text("ip") != "10.0.0.1" || v.Int("minport") != 8 ||
		v.Int("maxport") != 6999 || v.Given("maxport") || !v.Given("minport") {
		t.Errorf("values %v", v.given)
	}
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "--snub_time has no effect: ") {
		t.Errorf("notes %q, want one about --snub_time", notes)
	}
	for what, argv := range map[string][]string{
		"unknown option --snub":                            {"--snub", "1"},
		"--snub_time needs a value":                        {"--snub_time"},
		`--minport: "1.5" is not a valid number`:           {"--minport", "1.5"},
		`--snub_time: "NaN" is not a valid number`:         {"--snub_time", "NaN"},
		"too many arguments: the maximum is 1":             {"a", "b"},
		`--max_upload_rate: "1e300" is not a valid number`: {"--max_upload_rate", "1e300"},
	} {
		if _, _, _, err := get.Parse(argv); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: error %v, want %q", argv, err, what)
		}
	}
	if _, _, _, err := track.Parse([]string{"x"}); err == nil {
		t.Error("bttrack accepted an argument")
	}
}

// TestTiers checks that lists of trackers are parsed and formatted.
func TestTiers(t *testing.T) {
	const list = "http://a,http://b|http://c"
	if got := Tiers(" http://a , http://b||http://c|"); JoinTiers(got) != list || len(got) != 2 {
		t.Errorf("tiers %q", got)
	}
	if Tiers("") != nil {
		t.Error("the empty list has tiers")
	}
}

// TestShow checks the layout of btshowmetainfo.
func TestShow(t *testing.T) {
	m := Metainfo{File: "x.torrent", InfoHash: "0123", Name: "x.iso", Length: 600_000, PieceLength: 1 << 18, Tiers: [][]string{{"http://a/announce"}}}
	const single = `metainfo file.: x.torrent
info hash.....: 0123
file name.....: x.iso
file size.....: 600000 (2 * 262144 + 75712)
announce url..: http://a/announce
`
	if got := m.String(); got != single {
		t.Errorf("got\n%s", got)
	}
	m.Files, m.Comment, m.HTTPSeeds = []File{{"a/b", 1}, {"c", 599_999}}, "hm", []string{"http://x", "http://y"}
	m.Tiers = append(m.Tiers, []string{"http://b", "http://c"})
	const tree = `metainfo file.: x.torrent
info hash.....: 0123
directory name: x.iso
files.........: 
   a/b (1)
   c (599999)
archive size..: 600000 (2 * 262144 + 75712)
announce url..: http://a/announce
announce-list.: http://a/announce|http://b,http://c
http seeds....: http://x|http://y
comment.......: hm
`
	if got := m.String(); got != tree {
		t.Errorf("got\n%s", got)
	}
}

// TestStatus checks the layout of the status block and the status line.
func TestStatus(t *testing.T) {
	s := Status{Name: "x", Path: "/d/x", Size: 3 << 20, Fraction: 0.12345, Left: 3725 * time.Second, Down: 2048, Up: 512, Downloaded: 2 << 20, Uploaded: 1 << 20, Seeds: 1, Peers: 2, Copies: 1.5}
	const block = `




saving:         x (3.0 MB)
percent done:   12.3
time left:      1 hour 02 min 05 sec
download to:    /d/x
download rate:  2.0 kB/s
upload rate:    0.5 kB/s
share rating:   0.500  (1.0 MB up / 2.0 MB down)
seed status:    1 seen now, plus 1.500 distributed copies
peer status:    2 seen now
`
	if got := s.Block(); got != block {
		t.Errorf("got\n%s", got)
	}
	if got, want := s.Line("x.torrent"), `"x.torrent": "1 hour 02 min 05 sec" (12.3%) - 2P1S1.500D u0.5K/s-d2.0K/s u1024K-d2048K ""`+"\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	done := Status{Fraction: 1, Finished: true, Uploaded: 5, Errors: []string{"disk"}}
	for _, want := range []string{"ERROR:\ndisk\n", "percent done:   100.0\n", "time left:      Download Succeeded!\n", "download rate:\n", "share rating:   oo   (0.0 MB up / 0.0 MB down)\n"} {
		if !strings.Contains(done.Block(), want) {
			t.Errorf("the status block of a finished download does not contain %q:\n%s", want, done.Block())
		}
	}
	for d, want := range map[time.Duration]string{Unknown: "<unknown>", 0: "0 min 00 sec", 61 * 24 * time.Hour: "<unknown>"} {
		if got := hours(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestNetworks checks the parsers of --banned_ips and --allowed_ips.
func TestNetworks(t *testing.T) {
	got, err := ParseRanges(strings.NewReader("# remark\nsome: name:192.0.2.1-192.0.2.6\nv6:2001:db8::-2001:db8::ff\nall:0.0.0.0-255.255.255.255\none:10.0.0.1\n"))
	want := "[192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32 2001:db8::/120 0.0.0.0/0 10.0.0.1/32]"
	if err != nil || strings.ReplaceAll(join(got), ", ", " ") != want {
		t.Errorf("ranges %v, error %v", got, err)
	}
	got, err = ParseSubnets(strings.NewReader("192.0.2.77/24\n\n10.0.0.1 # home\n::1\n"))
	if err != nil || join(got) != "[192.0.2.0/24 10.0.0.1/32 ::1/128]" {
		t.Errorf("subnets %v, error %v", got, err)
	}
	for _, bad := range []string{"x:10.0.0.2-10.0.0.1", "10.0.0.1-::1", "x", "x:10.0.0.1-10.0.0.300"} {
		if _, err := ParseRanges(strings.NewReader(bad)); err == nil {
			t.Errorf("ParseRanges accepted %q", bad)
		}
	}
	if _, err := ParseSubnets(strings.NewReader("10.0.0.0/33")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("subnet: %v", err)
	}
}

func join(all []netip.Prefix) string {
	var s []string
	for _, p := range all {
		s = append(s, p.String())
	}
	return "[" + strings.Join(s, " ") + "]"
}

// TestDFile checks that the counts of a dfile are written and read, and that other files are
// errors.
func TestDFile(t *testing.T) {
	h := spate.InfoHash{1, 2, 3}
	b := AppendDFile(nil, map[spate.InfoHash]uint32{h: 7, {9}: 1})
	got, err := ParseDFile(b)
	if err != nil || got[h] != 7 || len(got) != 2 {
		t.Errorf("read %v, error %v", got, err)
	}
	// A file of bttrack, with a peer.
	old := "d9:completedd20:" + string(h[:]) + "i3ee5:peersd20:" + string(h[:]) + "d20:aaaaaaaaaaaaaaaaaaaad2:ip9:127.0.0.14:lefti0e4:porti6881eeeee"
	if got, err = ParseDFile([]byte(old)); err != nil || got[h] != 3 {
		t.Errorf("read %v, error %v", got, err)
	}
	for _, bad := range []string{"", "hello", "d9:completedi1ee", "d9:completedd3:abci1eee", "d9:completedd20:" + string(h[:]) + "i-1eee"} {
		if _, err := ParseDFile([]byte(bad)); err == nil {
			t.Errorf("ParseDFile accepted %q", bad)
		}
	}
}

// buffer is a log file in memory. The timer of the log writes to it too.
type buffer struct {
	mu     sync.Mutex
	text   strings.Builder
	closed bool
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) Close() error { b.closed = true; return nil }

// TestAccessLog checks the lines of the log, the delay of its writes, and Reopen.
func TestAccessLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var files []*buffer
		now := time.Date(2005, 7, 21, 10, 0, 0, 0, time.UTC)
		l, err := OpenAccessLog(func() (io.WriteCloser, error) {
			files = append(files, &buffer{})
			return files[len(files)-1], nil
		}, 3*time.Second, now)
		if err != nil {
			t.Fatal(err)
		}
		write := func(attrs ...slog.Attr) {
			r := slog.NewRecord(now, slog.LevelInfo, "announce", 0)
			r.AddAttrs(attrs...)
			l.Handle(t.Context(), r)
		}
		write(slog.String("event", "started"), slog.String("info_hash", "ab"), slog.String("addr", "10.0.0.1:6881"), slog.String("peer_id", "-SP-\"\n"),
			slog.String("client", "a\"\nb"), slog.Int64("uploaded", 1), slog.Int64("downloaded", 2), slog.Int64("left", 3))
		const head = "# Log Started: 2005-07-21 10:00 UTC\n"
		const line = `10.0.0.1 - - [21/Jul/2005:10:00:00 +0000] "GET /announce?info_hash=ab&peer_id=-SP-%22%0A&port=6881&uploaded=1&downloaded=2&left=3&event=started HTTP/1.0" 200 0 "-" "a\"\nb"` + "\n"
		if got := files[0].String(); got != head {
			t.Errorf("before the flush: %q", got)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := files[0].String(); got != head+line {
			t.Errorf("after three seconds: %q", got)
		}
		write(slog.String("event", "update"), slog.String("from", "::1"), slog.String("refused", "no"))
		if err := l.Reopen(now); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(files[0].String(), head+line); !strings.HasPrefix(got, `::1 - - `) || !strings.Contains(got, " 400 0 ") || strings.Contains(got, "event") || !files[0].closed {
			t.Errorf("the first file after Reopen: %q", got)
		}
		write()
		if err := errors.Join(l.Close(), l.Close()); err != nil || len(files[1].String()) == 0 || !files[1].closed {
			t.Errorf("the second file after Close: %q, error %v", files[1].String(), err)
		}
		time.Sleep(time.Minute) // the pending flush runs after Close
	})
}

// FuzzParse checks that Parse invents no arguments.
func FuzzParse(f *testing.F) {
	f.Add("--saveas", "x", "--minport=7")
	f.Add("-i", "--", "--=")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, tool := range Tools() {
			v, args, _, err := tool.Parse([]string{a, b, c})
			if err == nil && len(args)+2*len(v.given) > 6 {
				t.Fatalf("%s: three arguments gave %d arguments and %d options", tool.Name, len(args), len(v.given))
			}
		}
	})
}

// FuzzRanges checks that ParseRanges returns only networks without host bits.
func FuzzRanges(f *testing.F) {
	f.Add("x:10.0.0.1-10.0.0.9\ny:::1-::9")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := ParseRanges(strings.NewReader(s))
		if err != nil {
			return
		}
		for _, p := range all {
			if p != p.Masked() {
				t.Fatalf("network %v has host bits", p)
			}
		}
	})
}

// FuzzSubnets checks that ParseSubnets returns only valid networks.
func FuzzSubnets(f *testing.F) {
	f.Add("10.0.0.0/8\n::1 # x")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := ParseSubnets(strings.NewReader(s))
		for _, p := range all {
			if !p.IsValid() || p != p.Masked() || p.Addr().Zone() != "" {
				t.Fatalf("%v is not a valid network (error %v)", p, err)
			}
		}
	})
}

// FuzzDFile checks that counts are the same after writing and reading.
func FuzzDFile(f *testing.F) {
	f.Add(AppendDFile(nil, map[spate.InfoHash]uint32{{1}: 7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseDFile(b)
		if err != nil {
			return
		}
		again, err := ParseDFile(AppendDFile(nil, got))
		if err != nil || len(again) != len(got) {
			t.Fatalf("counts %v became %v after writing and reading, error %v", got, again, err)
		}
	})
}
