package metainfo_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"spate/bencode"
	"spate/merkle"
	"spate/metainfo"
)

var twenty = str(strings.Repeat("a", 20))

// oneFile returns an info dictionary with a file of one byte. pairs are keys and values
// that are added or replace the default ones.
func oneFile(pairs ...string) string {
	return dict(merge([]string{"length", num(1), "name", str("n"), "piece length", num(16384), "pieces", twenty}, pairs)...)
}

func inTorrent(info string) []byte { return []byte(dict("info", info)) }

// TestParseRejects checks which field the error names for malformed torrents.
func TestParseRejects(t *testing.T) {
	huge := func(n int64) string {
		return list(dict("length", num(n), "path", path("a")), dict("length", num(n), "path", path("b")))
	}
	file := func(pairs ...string) string {
		return list(dict(merge([]string{"length", num(1), "path", path("a")}, pairs)...))
	}
	files := func(list string) []byte { return inTorrent(oneFile("length", "", "files", list)) }
	cases := []struct {
		field string
		b     []byte
	}{
		{"", nil}, {"", []byte("garbage")}, {"", []byte("<html></html>")}, {"", []byte("l4:infoe")}, {"", []byte("i1e")},
		{"info", []byte("de")}, {"info", []byte("d4:infoi1ee")}, {"info", []byte("d4:info3:abce")}, {"info", []byte("d4:infole")},
		{"info", []byte(dict("info", oneFile(), "info", oneFile()))},
		{"info.name", inTorrent(oneFile("name", ""))}, {"info.name", inTorrent(oneFile("name", num(1)))},
		{"info.piece length", inTorrent(oneFile("piece length", ""))}, {"info.piece length", inTorrent(oneFile("piece length", num(0)))},
		{"info.piece length", inTorrent(oneFile("piece length", num(-16384)))}, {"info.piece length", inTorrent(oneFile("piece length", num(1<<40)))},
		{"info.piece length", inTorrent(oneFile("piece length", str("16384")))},
		{"info.pieces", inTorrent(oneFile("pieces", ""))}, {"info.pieces", inTorrent(oneFile("pieces", str("")))},
		{"info.pieces", inTorrent(oneFile("pieces", str("short")))}, {"info.pieces", inTorrent(oneFile("pieces", list()))},
		{"info.pieces", inTorrent(oneFile("length", num(16385)))}, {"info.pieces", inTorrent(oneFile("length", num(0)))},
		{"info.length", inTorrent(oneFile("length", num(-1)))}, {"info.length", inTorrent(oneFile("length", num(math.MaxInt64)))},
		{"info.length", inTorrent(oneFile("length", str("1")))},
		{"info", inTorrent(oneFile("length", ""))}, {"info", inTorrent(oneFile("files", file()))},
		{"info.files", files(list())}, {"info.files", files(dict())}, {"info.files[0]", files(list(num(1)))},
		{"info.files[0].length", files(file("length", num(-1)))}, {"info.files[0].length", files(file("length", ""))},
		{"info.files[0]", files(file("length", str("1")))}, {"info.files[0]", files(file("path", str("a")))},
		{"info.files[0]", files(file("path", list(num(1))))}, {"info.files[0].path", files(file("path", ""))},
		{"info.files[0].length", files(huge(math.MaxInt64))}, {"info.files[1].length", files(huge(math.MaxInt64/4 + 1))},
		{"info.piece length", files(huge(1 << 50))},
		{"info.files[0].path", files(file("path", path("d"+strings.Repeat("/d", 101))))},
		{"info.meta version", inTorrent(oneFile("meta version", num(3)))}, {"info.meta version", inTorrent(oneFile("meta version", num(0)))},
		{"info.file tree", inTorrent(oneFile("meta version", num(2)))}, {"info.meta version", inTorrent(oneFile("file tree", dict()))},
		{"info", inTorrent("d6:lengthi1e6:lengthi2e4:name1:n12:piece lengthi16384e6:pieces" + twenty + "e")},
		{"info", inTorrent("d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces" + twenty + "6:lengthi1ee")},
		{"info.files", inTorrent("d5:filesld6:lengthi1e4:pathl1:ae6:lengthi2eee4:name1:n12:piece lengthi16384e6:pieces" + twenty + "e")},
		{"info.files", inTorrent("d5:filesld6:lengthi1e6:lengthi1e4:pathl1:aeee4:name1:n12:piece lengthi16384e6:pieces" + twenty + "e")},
		{"info", inTorrent("d1:ad1:x0:1:x0:e6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces" + twenty + "e")},
	}
	for _, c := range cases {
		_, err := metainfo.Parse(c.b)
		wantError(t, c.b, err, c.field)
	}
	whole := inTorrent(oneFile())
	for n := range whole {
		if _, err := metainfo.Parse(whole[:n]); err == nil {
			t.Errorf("Parse accepted the truncated torrent %q", whole[:n])
		}
	}
}

// TestSyntaxErrorOffset checks that a syntax error inside the info dictionary has its
// offset in the torrent.
func TestSyntaxErrorOffset(t *testing.T) {
	b := []byte("d4:infod6:lengthi01e4:name1:nee")
	_, err := metainfo.Parse(b)
	var syntax *bencode.SyntaxError
	var typed *metainfo.Error
	if !errors.As(err, &syntax) || !errors.As(err, &typed) || typed.Offset != 17 || typed.Field != "info.length" {
		t.Errorf("the error is %v (%+v), want a syntax error in info.length at offset 17", err, typed)
	}
}

// TestAccepted checks malformed torrents of other programs that are accepted with a
// warning.
func TestAccepted(t *testing.T) {
	cases := []struct {
		name, warn string
		b          []byte
		ok         func(m *metainfo.MetaInfo) bool
	}{
		{"plain", "", inTorrent(oneFile()), func(m *metainfo.MetaInfo) bool { return m.Info.Single() && m.Info.NumPieces() == 1 }},
		{"trailing bytes", "after the end", append(inTorrent(oneFile()), "\r\n"...), func(m *metainfo.MetaInfo) bool { return m.Trailing == 2 }},
		{"unsorted outside", "not sorted", []byte(dict("info", oneFile(), "announce", str("http://t"))),
			func(m *metainfo.MetaInfo) bool { return len(m.AnnounceList) == 1 }},
		{"unsorted before info", "not sorted", []byte(dict("z", num(1), "info", oneFile())), nil},
		{"unsorted inside", "info: keys are not sorted", inTorrent("d4:name1:n6:lengthi1e12:piece lengthi16384e6:pieces" + twenty + "e"), nil},
		{"unsorted file", "info: keys are not sorted", inTorrent("d5:filesld4:pathl1:ae6:lengthi1eee4:name1:n12:piece lengthi16384e6:pieces" + twenty + "e"), nil},
		{"duplicate key outside", "duplicate", []byte(dict("comment", str("a"), "comment", str("b"), "info", oneFile())), nil},
		{"odd piece length", "power of two", inTorrent(oneFile("piece length", num(12345))), nil},
		{"web seed as a string", "", []byte(dict("info", oneFile(), "url-list", str("http://w/"))),
			func(m *metainfo.MetaInfo) bool { return slices.Equal(m.WebSeeds, []string{"http://w/"}) }},
		{"web seeds, an empty one", "", []byte(dict("httpseeds", list(str("http://h")), "info", oneFile(), "url-list", list(str("http://w/"), str(""), str(" http://x/ ")))),
			func(m *metainfo.MetaInfo) bool {
				return slices.Equal(m.WebSeeds, []string{"http://w/", "http://x/"}) && m.HTTPSeeds[0] == "http://h"
			}},
		{"web seed of a wrong type", "url-list: ignored", []byte(dict("info", oneFile(), "url-list", num(1))), nil},
		{"empty web seed", "", []byte(dict("info", oneFile(), "url-list", str(""))), func(m *metainfo.MetaInfo) bool { return m.WebSeeds == nil }},
		{"tiers", "", []byte(dict("announce", str("http://x"), "announce-list", list(list(str("http://a"), str("http://b")), list(), list(str("udp://c"))), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool {
				return len(m.AnnounceList) == 2 && slices.Equal(m.AnnounceList[0], []string{"http://a", "http://b"})
			}},
		{"tiers as strings", "", []byte(dict("announce-list", list(str("http://a"), str("http://b")), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool { return len(m.AnnounceList) == 2 }},
		{"no tiers", "", []byte(dict("announce", str("http://x"), "announce-list", list(), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool { return len(m.AnnounceList) == 1 && m.AnnounceList[0][0] == "http://x" }},
		{"nodes", "without host", []byte(dict("info", oneFile(), "nodes", list(list(str("2001:db8::1"), num(6881)), list(str("h"), num(0)), list(num(1)), list(str("dht.example"), num(1))))),
			func(m *metainfo.MetaInfo) bool {
				return slices.Equal(m.Nodes, []string{"[2001:db8::1]:6881", "dht.example:1"})
			}},
		{"private as a string", "info.private", inTorrent(oneFile("private", str("1"))), func(m *metainfo.MetaInfo) bool { return m.Info.Private }},
		{"not private", "", inTorrent(oneFile("private", num(0))), func(m *metainfo.MetaInfo) bool { return !m.Info.Private }},
		{"private and source", "", inTorrent(oneFile("private", num(1), "source", str("S"))),
			func(m *metainfo.MetaInfo) bool { return m.Info.Private && m.Info.Source == "S" }},
		{"names in UTF-8", "", inTorrent(oneFile("length", "", "files", list(dict("length", num(1), "path", list(str("\xc4\xe3")), "path.utf-8", list(str("你")))), "name", str("\xba\xc3"), "name.utf-8", str("好"))),
			func(m *metainfo.MetaInfo) bool { return m.Info.Name == "好" && m.Info.Files[0].Path[0] == "你" }},
		{"comment not in UTF-8", "", []byte(dict("comment", str("\xffhi"), "info", oneFile())), func(m *metainfo.MetaInfo) bool { return m.Comment == "?hi" }},
		{"comment in UTF-8", "", []byte(dict("comment", str("\xff"), "comment.utf-8", str("é"), "created by", num(1), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool { return m.Comment == "é" && len(m.Warnings) == 1 }},
		{"date out of range", "creation date", []byte(dict("creation date", num(math.MaxInt64), "info", oneFile())), func(m *metainfo.MetaInfo) bool { return m.CreationDate.IsZero() }},
		{"date", "", []byte(dict("creation date", num(1117700000), "info", oneFile())), func(m *metainfo.MetaInfo) bool { return m.CreationDate.Year() == 2005 }},
		{"similar and collections", "info-hash", []byte(dict("collections", list(str("c")), "info", oneFile("collections", list(str("d")), "similar", list(str("short"))), "similar", list(twenty))),
			func(m *metainfo.MetaInfo) bool {
				return len(m.Similar) == 1 && m.Collections[0] == "c" && m.Info.Collections[0] == "d" && m.Info.Similar == nil
			}},
		{"no data", "", inTorrent(oneFile("length", num(0), "pieces", str(""))), func(m *metainfo.MetaInfo) bool { return m.Info.NumPieces() == 0 && m.Info.PieceSize(0) == 0 }},
		{"long tracker", "ignored", []byte(dict("announce", str("http://a/"+strings.Repeat("a", 8<<10)), "announce-list", list(list(str("http://b/"+strings.Repeat("b", 8<<10)), str("http://c/"))), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool {
				return len(m.AnnounceList) == 1 && len(m.AnnounceList[0]) == 1 && m.AnnounceList[0][0] == "http://c/"
			}},
		{"long only tracker", "ignored", []byte(dict("announce", str("http://a/"+strings.Repeat("a", 8<<10)), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool { return len(m.AnnounceList) == 0 }},
		{"tracker of the longest length", "", []byte(dict("announce", str("http://a/"+strings.Repeat("a", 8<<10-9)), "info", oneFile())),
			func(m *metainfo.MetaInfo) bool { return len(m.AnnounceList) == 1 && len(m.AnnounceList[0][0]) == 8<<10 }},
		{"long web seed", "ignored", []byte(dict("info", oneFile(), "url-list", list(str("http://a/"+strings.Repeat("a", 8<<10)), str("http://b/")))),
			func(m *metainfo.MetaInfo) bool { return len(m.WebSeeds) == 1 && m.WebSeeds[0] == "http://b/" }},
		{"long host of a node", "ignored", []byte(dict("info", oneFile(), "nodes", list(list(str(strings.Repeat("h", 256)), num(1)), list(str("h"), num(1))))),
			func(m *metainfo.MetaInfo) bool { return len(m.Nodes) == 1 && m.Nodes[0] == "h:1" }},
		{"long comment", "truncated", []byte(dict("comment", str(strings.Repeat("c", 100_000)), "info", oneFile())), func(m *metainfo.MetaInfo) bool { return len(m.Comment) == 64<<10 }},
	}
	for _, c := range cases {
		m, err := metainfo.Parse(c.b)
		if err != nil {
			t.Errorf("%s: Parse returned %v, want a warning", c.name, err)
			continue
		}
		found := c.warn == "" && (len(m.Warnings) == 0 || c.ok != nil)
		for _, w := range m.Warnings {
			found = found || c.warn != "" && strings.Contains(w.String(), c.warn)
		}
		if !found || c.ok != nil && !c.ok(m) {
			t.Errorf("%s: the torrent is %+v with the warnings %q, want the expected value and warning", c.name, m, m.Warnings)
		}
	}
}

// TestInfoHashOfOriginalBytes checks that the info-hash is the hash of the original bytes,
// also if another encoder would write the info dictionary differently.
func TestInfoHashOfOriginalBytes(t *testing.T) {
	for _, info := range []string{
		oneFile(), oneFile("zzz", list(dict("unknown", num(1)))),
		"d4:name1:n6:lengthi1e12:piece lengthi16384e6:pieces" + twenty + "e",
	} {
		m := mustParse(t, append(inTorrent(info), "trailing"...))
		if h, ok := m.HashV1(); !ok || h != sha1.Sum([]byte(info)) || string(m.InfoBytes) != info || m.Hash() != h {
			t.Errorf("%q has the info-hash %v", info, m.Hash())
		}
		alone, err := metainfo.FromInfo([]byte(info))
		if err != nil || alone.Hash() != m.Hash() {
			t.Errorf("the info dictionary %q alone gives another info-hash or the error %v", info, err)
		}
		if _, err := metainfo.FromInfo([]byte(info + "x")); err == nil {
			t.Errorf("%q with a byte after the end was accepted", info)
		}
	}
}

// TestLimitsCanBeSet checks that every limit applies and that exceeding it gives
// ErrLimit.
func TestLimitsCanBeSet(t *testing.T) {
	two := v1("a/b/c", "d")
	trackers := []byte(dict("announce-list", list(list(str("http://a")), list(str("http://b"))), "info", oneFile()))
	cases := []struct {
		b  []byte
		ok metainfo.Limits
		no metainfo.Limits
	}{
		{two, metainfo.Limits{Size: len(two)}, metainfo.Limits{Size: len(two) - 1}},
		{inTorrent(oneFile("piece length", num(1), "length", num(2), "pieces", str(strings.Repeat("a", 40)))), metainfo.Limits{Pieces: 2}, metainfo.Limits{Pieces: 1}},
		{inTorrent(oneFile()), metainfo.Limits{PieceLength: 16384}, metainfo.Limits{PieceLength: 16383}},
		{two, metainfo.Limits{Tokens: 32}, metainfo.Limits{Tokens: 31}},
		{two, metainfo.Limits{Nesting: 5}, metainfo.Limits{Nesting: 4}},
		{two, metainfo.Limits{Depth: 2}, metainfo.Limits{Depth: 1}},
		{two, metainfo.Limits{Names: 100 << 10}, metainfo.Limits{Names: 1000}},
		{two, metainfo.Limits{Files: 2}, metainfo.Limits{Files: 1}},
		{trackers, metainfo.Limits{List: 2}, metainfo.Limits{List: 1}},
		{v1("a", "l -> a", "m -> a"), metainfo.Limits{List: 2}, metainfo.Limits{List: 1}},
	}
	for i, c := range cases {
		if _, err := (metainfo.Options{Limits: c.ok}).Parse(c.b); err != nil {
			t.Errorf("case %d, at the limit: Parse returned %v", i, err)
		}
		if _, err := (metainfo.Options{Limits: c.no}).Parse(c.b); !errors.Is(err, metainfo.ErrLimit) {
			t.Errorf("case %d, over the limit: Parse returned %v, want ErrLimit", i, err)
		}
	}
	long := func(first string, n int64) io.Reader {
		return io.MultiReader(strings.NewReader(first), io.LimitReader(zeros{}, n))
	}
	const head = "d4:info400000000:" // the zeros are the rest of a string
	if _, err := (metainfo.Options{Limits: metainfo.Limits{Size: 1000}}).Read(long(head, 1000)); !errors.Is(err, metainfo.ErrLimit) {
		t.Errorf("Read of a long input returned %v, want ErrLimit", err)
	}
	if _, err := metainfo.ReadAll(long(head, metainfo.MaxSize)); !errors.Is(err, metainfo.ErrLimit) {
		t.Errorf("ReadAll of a long input returned %v, want ErrLimit", err)
	}
	if b, err := metainfo.ReadAll(long(head, metainfo.MaxSize-int64(len(head)))); err != nil || len(b) != metainfo.MaxSize {
		t.Errorf("ReadAll of an input of the maximum size returned %d bytes, %v", len(b), err)
	}
	rest := long("x", 1<<20)
	if _, err := metainfo.ReadAll(rest); err == nil {
		t.Error("ReadAll accepts an input that is not a dictionary")
	}
	if n, _ := io.Copy(io.Discard, rest); n < 1<<20 {
		t.Errorf("ReadAll read %d bytes of an input that is not a dictionary, want only the first", 1<<20-n)
	}
	if _, err := metainfo.Read(iotest.ErrReader(os.ErrPermission)); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Read of a failing input returned %v, want os.ErrPermission", err)
	}
	large := filepath.Join(t.TempDir(), "large.torrent")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Skip(err)
	}
	if _, err := metainfo.ReadFile(large); !errors.Is(err, metainfo.ErrLimit) {
		t.Errorf("ReadFile of a file of 1 TB returned %v, want ErrLimit", err)
	}
}

// tree returns a v2 file tree with one file.
func tree(name string, length int64, root [32]byte) string {
	return dict(name, dict("", dict("length", num(length), "pieces root", str(string(root[:])))))
}

func v2Torrent(fileTree string, pairs ...string) []byte {
	info := dict(merge([]string{"file tree", fileTree, "meta version", num(2), "name", str("n"), "piece length", num(16384)}, pairs)...)
	return []byte(dict("info", info, "piece layers", dict()))
}

func TestParseRejectsV2(t *testing.T) {
	var r [32]byte
	leaf := func(pairs ...string) string {
		return dict("a", dict("", dict(merge([]string{"length", num(1), "pieces root", str(string(r[:]))}, pairs)...)))
	}
	const field = "info.file tree"
	for _, c := range []struct {
		field string
		b     []byte
	}{
		{field, v2Torrent(dict())}, {field, v2Torrent(dict("a", dict()))}, {field, v2Torrent(list())}, {field, v2Torrent(dict("a", num(1)))},
		{field, v2Torrent(dict("", dict("length", num(0))))}, {field, v2Torrent(dict("a", dict("", list())))},
		{field, v2Torrent(leaf("length", num(-1)))}, {field, v2Torrent(leaf("length", ""))}, {field, v2Torrent(leaf("length", str("1")))},
		{field, v2Torrent(leaf("pieces root", ""))}, {field, v2Torrent(leaf("pieces root", str("short")))}, {field, v2Torrent(leaf("pieces root", num(1)))},
		{field, v2Torrent(leaf("attr", str("p")))},
		{field, v2Torrent(dict("a", dict("", dict("length", num(0)), "b", dict("", dict("length", num(0))))))},
		{field + "[1].length", v2Torrent(dict("a", dict("", dict("length", num(1<<61), "pieces root", str(string(r[:])))), "b", dict("", dict("length", num(1<<61), "pieces root", str(string(r[:])))), "c", dict("", dict("length", num(1<<61), "pieces root", str(string(r[:]))))))},
		{"info.piece length", v2Torrent(leaf(), "piece length", num(8192))}, {"info.piece length", v2Torrent(leaf(), "piece length", num(16385))},
		{"info.piece length", v2Torrent(leaf(), "piece length", num(24576))}, {"info.piece length", v2Torrent(tree("a", 1<<40, r))},
		{"info", v2Torrent(dict("b", dict("", dict("length", num(0))), "a", dict("", dict("length", num(0)))))},
		{"info", v2Torrent(dict("a", dict("", dict("length", num(0))), "a", dict("", dict("length", num(0)))))},
	} {
		_, err := metainfo.Parse(c.b)
		wantError(t, c.b, err, c.field)
	}
}

func TestPieceLayers(t *testing.T) {
	pieceHashes := make([]byte, 3*32)
	for i := range pieceHashes {
		pieceHashes[i] = byte(i)
	}
	root := merkle.Root(pieceHashes, 0)
	with := func(layers string) ([]byte, *metainfo.MetaInfo, error) {
		b := []byte(dict("info", dict("file tree", tree("n", 40000, root), "meta version", num(2), "name", str("n"), "piece length", num(16384)), "piece layers", layers))
		m, err := metainfo.Parse(b)
		return b, m, err
	}
	_, m, err := with(dict(string(root[:]), str(string(pieceHashes))))
	if err != nil || m.MissingLayers() != 0 || !bytes.Equal(m.PieceLayer(&m.Info.Files[0]), pieceHashes) || len(m.Warnings) > 0 || !m.Info.Single() {
		t.Fatalf("Parse returned %+v, %v, want a single file with its piece layer and no warnings", m, err)
	}
	if h, ok := m.HashV2(); !ok || h != sha256.Sum256(m.InfoBytes) || m.Hash() != h.Truncate() {
		t.Errorf("the v2 info-hash is %v, want the SHA-256 of the info dictionary", h)
	}
	if m.Info.NumPieces() != 3 || m.Info.PieceSize(2) != 40000-32768 || m.Info.Format() != metainfo.V2 {
		t.Errorf("the torrent has %d pieces, the last of %d bytes; want 3, the last of 7232", m.Info.NumPieces(), m.Info.PieceSize(2))
	}
	for _, layers := range []string{dict(), dict("short", num(1)), dict(string(root[:]), list()), dict(string(root[:]), str(strings.Repeat("a", 63))), num(1)} {
		_, m, err := with(layers)
		if err != nil || m.MissingLayers() != 1 || len(m.Warnings) == 0 || m.PieceLayer(&m.Info.Files[0]) != nil {
			t.Errorf("piece layers %q: Parse returned %v and %v, want a warning and one missing layer", layers, m, err)
		}
	}
	b, _, err := with(dict(string(root[:]), str(strings.Repeat("a", 96))))
	wantError(t, b, err, "piece layers")
	five := merkle.Root(make([]byte, 5*32), 0)
	b = []byte(dict("info", dict("file tree", tree("n", 40000, five), "meta version", num(2), "name", str("n"), "piece length", num(16384)), "piece layers", dict(string(five[:]), str(strings.Repeat("\x00", 5*32)))))
	_, err = metainfo.Parse(b)
	wantError(t, b, err, "piece layers")
}

// TestHybridMustAgree checks that a hybrid torrent must describe the same data for v1
// and v2.
func TestHybridMustAgree(t *testing.T) {
	var r [32]byte
	leaf := func(n int64) string {
		if n == 0 {
			return dict("", dict("length", num(0)))
		}
		return dict("", dict("length", num(n), "pieces root", str(string(r[:]))))
	}
	file := func(p string, n int64) string { return dict("length", num(n), "path", path(p)) }
	pad := func(n int64) string {
		return dict("attr", str("p"), "length", num(n), "path", path(".pad/x"))
	}
	hybrid := func(tree, files string, pieces int) []byte {
		return v2Torrent(tree, "files", files, "pieces", str(strings.Repeat("a", 20*pieces)))
	}
	trees := dict("a", leaf(10), "b", dict("c", leaf(0), "d", leaf(20)))
	good := []string{file("a", 10), pad(16374), file("b/c", 0), file("b/d", 20)}
	for _, c := range []struct {
		ok    bool
		tree  string
		files []string
	}{
		{true, trees, good},
		{true, trees, append(slices.Clone(good), pad(16364))},
		{false, trees, []string{file("a", 10), file("b/c", 0), file("b/d", 20)}},
		{false, trees, []string{file("a", 10), pad(16373), file("b/c", 0), file("b/d", 20)}},
		{false, trees, []string{file("a", 11), pad(16373), file("b/c", 0), file("b/d", 20)}},
		{false, trees, []string{file("a", 10), pad(16374), file("b/c", 0), file("b/D", 20)}},
		{false, trees, []string{file("a", 10), pad(16374), file("b/d", 20), file("b/c", 0)}},
		{false, trees, good[:3]},
		{false, trees, append(slices.Clone(good), file("e", 0))},
		{false, dict("a", leaf(10), "b", leaf(20)), []string{file("a", 10), pad(16374), file("b/c", 20)}},
		{false, dict("a", leaf(10), "b\\c", leaf(20)), []string{file("a", 10), pad(16374), file("b/c", 20)}},
		{false, dict("x/y", leaf(10)), []string{file("x_y", 10)}},
	} {
		total := 0
		if c.ok || len(c.files) > 3 {
			total = 2
		} else {
			total = 1
		}
		for _, pieces := range []int{total, 3 - total} {
			b := hybrid(c.tree, list(c.files...), pieces)
			m, err := metainfo.Parse(b)
			if c.ok && pieces == total && (err != nil || m.Info.Format() != metainfo.Hybrid || m.Info.Files[0].PiecesRoot == nil) {
				t.Errorf("Parse of a hybrid torrent of %q returned %v", c.files, err)
			} else if !c.ok && err == nil {
				t.Errorf("Parse accepted the v1 files %q with the v2 files %q", c.files, c.tree)
			}
		}
	}
	single := v2Torrent(dict("n", leaf(10)), "length", num(10), "pieces", twenty)
	if m, err := metainfo.Parse(single); err != nil || !m.Info.Single() || m.Info.Files[0].PiecesRoot == nil {
		t.Errorf("Parse of a hybrid torrent with a single file returned %v", err)
	}
	for _, b := range [][]byte{
		v2Torrent(dict("n", leaf(11)), "length", num(10), "pieces", twenty),
		v2Torrent(dict("m", leaf(10)), "length", num(10), "pieces", twenty),
		v2Torrent(dict("n", leaf(10), "o", leaf(0)), "length", num(10), "pieces", twenty),
	} {
		_, err := metainfo.Parse(b)
		wantError(t, b, err, "info.file tree")
	}
}

// zeros is an endless input of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
