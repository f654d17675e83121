package metainfo_test

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"spate/metainfo"
)

// charsets are names of charsets in torrents, their encoders, and a text that is not UTF-8 in them.
var charsets = []struct {
	names []string
	enc   encoding.Encoding
	text  string
}{
	{[]string{"GBK", "gb2312", "GB18030", "CP936", "936"}, simplifiedchinese.GBK, "中文字幕"},
	{[]string{"Big5", "BIG-5", "cp950"}, traditionalchinese.Big5, "中文字幕"},
	{[]string{"Shift_JIS", "SJIS", "x-sjis", "CP932", "Windows-31J"}, japanese.ShiftJIS, "ソフト表テスト"}, // with the bytes of backslashes
	{[]string{"EUC-JP"}, japanese.EUCJP, "テスト"},
	{[]string{"EUC-KR", "MS949", "cp949", "ks_c_5601-1987"}, korean.EUCKR, "한국어"},
	{[]string{"windows-1251", "CP1251", "cp-1251", "1251"}, charmap.Windows1251, "Привет"},
	{[]string{"KOI8-R", "koi8-r"}, charmap.KOI8R, "Привет"},
	{[]string{"IBM866", "cp866"}, charmap.CodePage866, "Привет"},
	{[]string{"ISO-8859-1", "iso8859-1", "latin1", "windows-1252", "CP1252"}, charmap.ISO8859_1, "Grüße"},
	{[]string{"ISO-8859-2", "iso8859_2"}, charmap.ISO8859_2, "Žluťoučký"},
	{[]string{"ISO-8859-5"}, charmap.ISO8859_5, "Привет"},
	{[]string{"ISO-8859-7"}, charmap.ISO8859_7, "Ελλάδα"},
	{[]string{"ISO-8859-9", "windows-1254"}, charmap.ISO8859_9, "İşğ"},
	{[]string{"ISO-8859-15", "latin9"}, charmap.ISO8859_15, "5€é"},
	{[]string{"windows-1250"}, charmap.Windows1250, "Žluťoučký"},
	{[]string{"windows-1253"}, charmap.Windows1253, "Ελλάδα"},
	{[]string{"windows-1255"}, charmap.Windows1255, "שלום"},
	{[]string{"windows-1256"}, charmap.Windows1256, "مرحبا"},
	{[]string{"TIS-620", "windows-874"}, charmap.Windows874, "ไทย"},
}

// TestCharset checks that names and comments in the charset that the torrent names are decoded,
// that the bytes of the torrent stay among the other names, and so do the names without the
// charset.
func TestCharset(t *testing.T) {
	t.Parallel()
	for _, c := range charsets {
		b, err := c.enc.NewEncoder().Bytes([]byte(c.text))
		if err != nil {
			t.Fatal(c.text, err)
		}
		raw := string(b)
		for _, name := range c.names {
			info := v1Info("files", list(
				dict("length", num(0), "path", list(str(raw), str("plain"))),
				dict("length", num(0), "path", list(str(raw), str("b"+raw+".txt"))),
				dict("length", num(0), "path", list(str("é"))),
			), "name", str(raw))
			m := mustParse(t, []byte(dict("comment", str(raw), "created by", str("p "+raw), "encoding", str(name), "info", info)))
			i := &m.Info
			if i.Name != c.text || !slices.Equal(i.Files[0].Path, []string{c.text, "plain"}) || i.Files[1].DisplayPath() != c.text+"/b"+c.text+".txt" || i.Files[2].DisplayPath() != "é" {
				t.Errorf("%s: the names are %q, %q, %q, %q", name, i.Name, i.Files[0].Path, i.Files[1].Path, i.Files[2].Path)
			}
			if m.Comment != c.text || m.CreatedBy != "p "+c.text || !i.Decoded() || i.RawName != raw {
				t.Errorf("%s: the comment is %q by %q, decoded %v, raw %q", name, m.Comment, m.CreatedBy, i.Decoded(), i.RawName)
			}
			plain, err := metainfo.FromInfo(m.InfoBytes)
			if err != nil || plain.Hash() != m.Hash() || plain.Info.Decoded() {
				t.Fatal(err)
			}
			names, paths := m.OtherNames(), m.OtherPaths(true)
			if runtime.GOOS != "windows" && (!slices.Contains(names, raw) || !slices.Contains(paths[1], raw+"/b"+raw+".txt")) {
				t.Errorf("%s: the bytes of the torrent are not among %q, %v", name, names, paths)
			}
			if !slices.Contains(names, plain.Info.Name) || !slices.Contains(paths[0], plain.Info.Files[0].DisplayPath()) || !slices.Contains(paths[1], plain.Info.Files[1].DisplayPath()) {
				t.Errorf("%s: the undecoded names are not among %q, %v", name, names, paths)
			}
			if again, err := m.Bytes(); err != nil || mustParse(t, again).Info.Name != c.text {
				t.Errorf("%s: the written torrent has another name: %v", name, err)
			}
			// A single file, and encoding after info.
			m = mustParse(t, []byte("d4:info"+v1Info("length", num(0), "name", str(raw))+"8:encoding"+str(name)+"e"))
			if m.Info.Name != c.text {
				t.Errorf("%s: the name is %q", name, m.Info.Name)
			}
		}
	}
}

// TestCharsetNotUsed checks the torrents whose names stay as they are without the key encoding.
func TestCharsetNotUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ charset, raw, want string }{
		{"GBK", "é", "é"}, {"GBK", "plain", "plain"}, {"UTF-8", "\xff", "_"}, {"utf8", "\xff", "_"}, {"", "\xff", "_"}, {"nonsense", "\xff", "_"}, {"US-ASCII", "\xff", "_"},
		{"GBK", "a\xff\xff", "a__"}, {"EUC-JP", "\xff", "_"}, {"UTF-16", "\xff", "_"}, {"iso-8859-99", "\xff", "_"}, {"windows", "\xff", "_"}, {"\xff", "\xff", "_"},
		{"windows-1251", "..\xff", "..я"}, {"windows-1251", "\xff/\x00", "я__"},
	} {
		m := mustParse(t, []byte(dict("encoding", str(c.charset), "info", v1Info("length", num(0), "name", str(c.raw)))))
		if m.Info.Name != c.want {
			t.Errorf("the name %q in %q is %q, want %q", c.raw, c.charset, m.Info.Name, c.want)
		}
	}
	// The keys in UTF-8 take precedence.
	m := mustParse(t, []byte(dict("encoding", str("GBK"), "info", v1Info("length", num(0), "name", str("\xd6\xd0"), "name.utf-8", str("好")))))
	if m.Info.Name != "好" || m.Info.Decoded() {
		t.Errorf("the name is %q, want that in UTF-8", m.Info.Name)
	}
}
