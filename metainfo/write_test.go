package metainfo_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/bencode"
	"spate/merkle"
	"spate/metainfo"
)

// odd returns a torrent with unknown keys outside and inside of info, in no particular
// order.
func odd() (torrent []byte, info string) {
	info = "d4:name1:n5:aaaaai1e6:lengthi1e12:piece lengthi16384e6:pieces" + twenty + "6:x-listlleee"
	return []byte("d8:announce8:http://a5:extrad1:zi1e1:ai2ee4:info" + info + "9:publisher2:me8:url-list8:http://we"), info
}

// TestBytesKeepsUnknownKeys checks that a change outside of info leaves all other bytes
// unchanged.
func TestBytesKeepsUnknownKeys(t *testing.T) {
	b, info := odd()
	m := mustParse(t, b)
	if got, err := m.Bytes(); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("Bytes of an unchanged torrent returned %q, %v, want the original bytes", got, err)
	}
	m.AnnounceList = [][]string{{"http://x"}, {"http://y", "http://z"}}
	m.Comment = "hello"
	m.WebSeeds = nil
	got, err := m.Bytes()
	want := "d8:announce8:http://x13:announce-listll8:http://xel8:http://y8:http://zee7:comment5:hello5:extrad1:zi1e1:ai2ee4:info" + info + "9:publisher2:mee"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want\n%q", got, err, want)
	}
	m.AnnounceList = m.AnnounceList[:1]
	m.Comment = ""
	m.WebSeeds = []string{"http://v", "http://u"}
	got, err = m.Bytes()
	want = "d8:announce8:http://x5:extrad1:zi1e1:ai2ee4:info" + info + "9:publisher2:me8:url-listl8:http://v8:http://uee"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want\n%q", got, err, want)
	}
}

// TestBytesKeepsUnchangedTiers checks that unchanged trackers are written as they were
// read, even if they are malformed.
func TestBytesKeepsUnchangedTiers(t *testing.T) {
	b := []byte(dict("announce", str("http://other"), "announce-list", list(str("http://a"), list(), list(str("http://b"))), "info", oneFile()))
	m := mustParse(t, b)
	m.Comment = "c"
	got, err := m.Bytes()
	if want := strings.Replace(string(b), "4:info", "7:comment1:c4:info", 1); err != nil || string(got) != want {
		t.Errorf("Bytes returned %q, %v, want\n%q", got, err, want)
	}
}

func TestEdit(t *testing.T) {
	b, info := odd()
	cases := []struct {
		changes map[string][]byte
		want    string
	}{
		{nil, string(b)},
		{map[string][]byte{"announce": nil, "nothing": nil}, "d5:extrad1:zi1e1:ai2ee4:info" + info + "9:publisher2:me8:url-list8:http://we"},
		{map[string][]byte{"comment": []byte("1:c"), "zz": []byte("i1e"), "a": []byte("le")},
			"d1:ale8:announce8:http://a7:comment1:c5:extrad1:zi1e1:ai2ee4:info" + info + "9:publisher2:me8:url-list8:http://w2:zzi1ee"},
		{map[string][]byte{"extra": []byte("0:"), "url-list": []byte("0:")}, "d8:announce8:http://a5:extra0:4:info" + info + "9:publisher2:me8:url-list0:e"},
	}
	for _, c := range cases {
		got, err := metainfo.Edit(append(slices.Clone(b), "trailing"...), c.changes)
		if err != nil || string(got) != c.want {
			t.Errorf("%q:\n%q, %v, want\n%q", c.changes, got, err, c.want)
		}
	}
	got, err := metainfo.EditInfo([]byte(info), map[string][]byte{"name": bencode.AppendString(nil, "other"), "source": []byte("1:s")})
	if want := strings.Replace(info, "4:name1:n", "4:name5:other", 1); err != nil || string(got) != strings.Replace(want, "6:x-list", "6:source1:s6:x-list", 1) {
		t.Errorf("EditInfo returned %q, %v, want the new name and source", got, err)
	}
	m := mustParse(t, b)
	if err := m.ReplaceInfo(got); err != nil || m.Info.Name != "other" || m.Info.Source != "s" {
		t.Fatalf("ReplaceInfo gave %+v, %v, want the new name and source", m, err)
	}
	whole, err := m.Bytes()
	if want := strings.Replace(string(b), info, string(got), 1); err != nil || string(whole) != want {
		t.Errorf("Bytes after ReplaceInfo returned %q, %v, want\n%q", whole, err, want)
	}
	if again := mustParse(t, whole); again.Hash() != m.Hash() {
		t.Error("the info-hash differs from that of the edited torrent")
	}
	for _, bad := range []map[string][]byte{{"a": []byte("")}, {"a": []byte("i1")}, {"a": []byte("i1ei2e")}} {
		if _, err := metainfo.Edit(b, bad); err == nil {
			t.Errorf("Edit accepted the malformed value %q", bad)
		}
	}
	for _, bad := range []string{"", "le", "d1:a", "d1:ai1e"} {
		if _, err := metainfo.Edit([]byte(bad), nil); err == nil {
			t.Errorf("Edit accepted the malformed torrent %q", bad)
		}
	}
	if _, err := metainfo.EditInfo([]byte(info+"x"), nil); err == nil {
		t.Error("bytes after an info dictionary were accepted")
	}
}

// TestNewIsCanonical checks the exact bytes of a torrent with all fields.
func TestNewIsCanonical(t *testing.T) {
	root := [32]byte{1, 2, 3}
	layer := make([]byte, 64)
	large := merkle.Root(layer, 0)
	m, err := metainfo.New(metainfo.Info{
		Name: "n", PieceLength: 16384, Private: true, Source: "s", MetaVersion: 2, Pieces: make([]byte, 60),
		Similar: []spate.InfoHash{{7}}, Collections: []string{"c"},
		Files: []metainfo.File{
			{Path: []string{"a", "b"}, Length: 1, PiecesRoot: &root, Attr: metainfo.AttrExecutable},
			{Length: 16383, Attr: metainfo.AttrPad},
			{Path: []string{"a", "c"}},
			{Path: []string{"l"}, Attr: metainfo.AttrSymlink, Symlink: &metainfo.Symlink{Target: []string{"a", "b"}}},
			{Path: []string{"z"}, Length: 20000, PiecesRoot: &large},
		},
	}, map[[32]byte][]byte{large: layer})
	if err != nil {
		t.Fatal(err)
	}
	r, l := str(string(root[:])), str(string(large[:]))
	want := "d11:collectionsl1:ce9:file treed" +
		"1:ad1:bd0:d4:attr1:x6:lengthi1e11:pieces root" + r + "ee1:cd0:d6:lengthi0eeee" +
		"1:ld0:d4:attr1:l6:lengthi0e12:symlink pathl1:a1:beee1:zd0:d6:lengthi20000e11:pieces root" + l + "eee" +
		"5:filesld4:attr1:x6:lengthi1e4:pathl1:a1:beed4:attr1:p6:lengthi16383e4:pathl4:.pad5:16383eed6:lengthi0e4:pathl1:a1:cee" +
		"d4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl1:a1:beed6:lengthi20000e4:pathl1:zeee" +
		"12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces" + str(string(make([]byte, 60))) + "7:privatei1e" +
		"7:similarl20:\x07" + strings.Repeat("\x00", 19) + "e6:source1:se"
	if string(m.InfoBytes) != want {
		t.Errorf("%q\n want %q", m.InfoBytes, want)
	}
	if f := m.Info.Files[4]; f.Offset != 16384 || m.Info.Files[3].Symlink == nil || m.MissingLayers() != 0 {
		t.Errorf("the files are %+v, want the last at offset 16384 after a link", m.Info.Files)
	}
	m.CreationDate = time.Unix(1117700000, 0)
	m.Nodes = []string{"[2001:db8::1]:6881", "no port"}
	m.Similar = []spate.InfoHash{{8}}
	m.HTTPSeeds, m.Encoding, m.CreatedBy, m.Collections = []string{"http://h"}, "UTF-8", "spate", []string{"d"}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again := mustParse(t, b)
	if len(again.Warnings) > 0 || again.Hash() != m.Hash() || !again.CreationDate.Equal(m.CreationDate) || again.Nodes[0] != m.Nodes[0] ||
		again.Similar[0] != m.Similar[0] || again.HTTPSeeds[0] != "http://h" || again.CreatedBy != "spate" || again.MissingLayers() != 0 {
		t.Errorf("the parsed torrent %+v does not have the fields that were written", again)
	}
	if twice, err := again.Bytes(); err != nil || !bytes.Equal(twice, b) {
		t.Errorf("Bytes of the parsed torrent returned %q, %v, want the same bytes", twice, err)
	}
	var out bytes.Buffer
	if err := m.Write(&out); err != nil || !bytes.Equal(out.Bytes(), b) {
		t.Errorf("Write wrote other bytes than Bytes returns, or failed: %v", err)
	}
}

// TestNewRejects checks that New rejects values that would not be parsed to the same
// values.
func TestNewRejects(t *testing.T) {
	file := func(path ...string) metainfo.File { return metainfo.File{Path: path} }
	v1 := func(files ...metainfo.File) metainfo.Info {
		return metainfo.Info{Name: "n", PieceLength: 16384, Pieces: []byte{}, Files: files}
	}
	v2 := func(files ...metainfo.File) metainfo.Info {
		return metainfo.Info{Name: "n", PieceLength: 16384, MetaVersion: 2, Files: files}
	}
	ok := []metainfo.Info{
		v1(file("b"), file("a")), v1(file("aux.c"), file("a:b"), file("a\x01")), v2(file("a", "b"), file("a", "c"), file("b")), v2(file("a"), file("a.b", "c"), file("ab")),
	}
	for _, i := range ok {
		m, err := metainfo.New(i, nil)
		if err != nil {
			t.Errorf("New with the files %+v: %v", i.Files, err)
		} else if got := paths(m)[0]; got != i.Files[0].DisplayPath() {
			t.Errorf("%+v: the first file is %q", i.Files, got)
		}
	}
	for _, i := range []metainfo.Info{
		v1(), v1(file("a"), file("A")), v1(file("a"), file("a", "b")), v1(file("..")), v1(file("a/b")), v1(file("")), v1(file(), file("a")),
		v1(file(strings.Repeat("x", 256))), v2(file("b"), file("a")), v2(file("a"), file("a")), v2(file("a"), file("a", "b")), v2(file("a", "b"), file("a")),
		v2(metainfo.File{Path: []string{"a"}, Length: 1}), v1(metainfo.File{Path: []string{"a"}, Length: 1}), v1(metainfo.File{Path: []string{"a"}, Length: -1}),
		{Name: "", PieceLength: 16384, Pieces: []byte{}, Files: []metainfo.File{{}}}, {Name: "a/b", PieceLength: 16384, Pieces: []byte{}, Files: []metainfo.File{{}}},
		{Name: "n", PieceLength: 0, Pieces: []byte{}, Files: []metainfo.File{{}}},
	} {
		_, err := metainfo.New(i, nil)
		var typed *metainfo.Error
		if !errors.As(err, &typed) {
			t.Errorf("New of %+v returned %v, want an *Error", i, err)
		}
	}
	root := [32]byte{1}
	i := v2(metainfo.File{Path: []string{"a"}, Length: 20000, PiecesRoot: &root})
	if _, err := metainfo.New(i, map[[32]byte][]byte{root: make([]byte, 64)}); err == nil {
		t.Error("a layer that does not match its root was accepted")
	}
	if _, err := new(metainfo.MetaInfo).Bytes(); err == nil {
		t.Error("a torrent without info was written")
	}
}

// TestByteSpace checks the offsets of files and pieces.
func TestByteSpace(t *testing.T) {
	r := [32]byte{1}
	i := metainfo.Info{PieceLength: 16384, MetaVersion: 2, Files: []metainfo.File{
		{Path: []string{"a"}, Length: 20000, PiecesRoot: &r}, {Path: []string{"b"}}, {Path: []string{"c"}, Length: 16384, PiecesRoot: &r},
		{Path: []string{"d"}, Length: 1, PiecesRoot: &r}, {Path: []string{"e"}},
	}, Name: "n"}
	m, err := metainfo.New(i, nil)
	if err != nil {
		t.Fatal(err)
	}
	offsets := []int64{0, 20000, 32768, 49152, 49153}
	for k, want := range offsets {
		if got := m.Info.Files[k].Offset; got != want {
			t.Errorf("file %d is at %d, want %d", k, got, want)
		}
	}
	for k, want := range []int64{16384, 3616, 16384, 1, 0} {
		if got := m.Info.PieceSize(k); got != want {
			t.Errorf("piece %d has %d bytes, want %d", k, got, want)
		}
	}
	for off, want := range map[int64]int{-1: -1, 0: 0, 19999: 0, 20000: 0, 32767: 0, 32768: 2, 49152: 3, 1 << 40: 3} {
		if got := m.Info.FileAt(off); got != want {
			t.Errorf("byte %d is in file %d, want %d", off, got, want)
		}
	}
	if n := m.Info.NumPieces(); n != 4 || m.Info.TotalLength() != 49153 || m.Info.DataLength() != 36385 || m.Info.PieceSize(-1) != 0 {
		t.Errorf("the torrent has %d pieces and %d bytes, want 4 and 49153 with 36385 of data", n, m.Info.TotalLength())
	}
}
