package metainfo_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"spate/bencode"
	"spate/merkle"
	"spate/metainfo"
)

// smallSize is the size in bytes up to which a torrent may take costTime and costMemory.
// Larger torrents may take more in proportion to their size.
const (
	smallSize  = 4 << 20
	costMemory = 32 << 20 // bytes, including the torrent itself
)

// hostileSize is the size in bytes of hostile torrents.
type hostileSize int

// fill repeats the results of part, between head and tail, up to the size s.
func (s hostileSize) fill(head, tail string, part func(i int) string) []byte {
	size := int(s)
	b := make([]byte, 0, size)
	b = append(b, head...)
	for i := 0; ; i++ {
		p := part(i)
		if p == endless || len(b)+len(p)+len(tail) > size {
			return append(b, tail...)
		}
		b = append(b, p...)
	}
}

// filled is like fill but makes the torrent when it is needed.
func (s hostileSize) filled(head, tail string, part func(i int) string) func() []byte {
	return func() []byte { return s.fill(head, tail, part) }
}

// files returns a number of files that is about the largest that the parser accepts.
func (s hostileSize) files() int {
	return min(170_000*max(1, int(s)/smallSize), metainfo.MaxFiles)
}

func whole(s string) func() []byte { return func() []byte { return []byte(s) } }

// first limits part to n results.
func first(n int, part func(i int) string) func(i int) string {
	return func(i int) string {
		if i >= n {
			return endless
		}
		return part(i)
	}
}

// endless is the part that ends fill.
const endless = "endless"

// same returns a part that is always s.
func same(s string) func(int) string { return func(int) string { return s } }

func str(s string) string { return string(bencode.AppendString(nil, s)) }

const (
	v1Head  = "d4:infod5:filesl"
	v1Tail  = "e4:name1:n12:piece lengthi16384e6:pieces0:ee"
	v2Head  = "d4:infod9:file treed"
	v2Tail  = "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"
	topTail = "4:infod6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
)

// torrents returns torrents of size s that are made to cost the parser as much as possible.
func (s hostileSize) torrents() map[string]func() []byte {
	filled, files, long := s.filled, s.files(), strconv.Itoa(int(s)-200)
	num := func(i int) string { return fmt.Sprintf("%06x", i) }
	file := func(path string) string { return "d6:lengthi0e4:pathl" + path + "ee" }
	return map[string]func() []byte{
		"nested lists":           filled("", "", same("l")),
		"nested dictionaries":    filled("", "", same("d0:")),
		"nested in info":         filled("d4:infod1:a", "", same("l")),
		"many lists":             filled("d1:al", "e"+topTail, same("le")),
		"many strings":           filled("d1:al", "e"+topTail, same("0:")),
		"many strings of one":    filled("d1:al", "e"+topTail, same("1:a")),
		"many integers":          filled("d1:al", "e"+topTail, same("i0e")),
		"deep lists, many":       filled("d1:al", "e"+topTail, same(strings.Repeat("l", 97)+strings.Repeat("e", 97))),
		"many keys":              filled("d", "e", func(i int) string { return "6:" + num(i) + "0:" }),
		"many keys unsorted":     filled("d", "e", func(i int) string { return "6:" + num(i*7919%(1<<24)) + "0:" }),
		"equal keys":             filled("d", topTail, same("1:a0:")),
		"keys in info":           filled("d4:infod", "ee", first(1_000_000, func(i int) string { return "6:" + num(i) + "0:" })),
		"keys in info unsorted":  filled("d4:infod", "ee", func(i int) string { return "6:" + num(i*7919%(1<<24)) + "0:" }),
		"equal keys in info":     filled("d4:infod", "ee", first(1_000_000, same("1:a0:"))),
		"long integer":           filled("d1:ai", "e"+topTail, same("1")),
		"long length":            filled("d", "", same("1")),
		"length of a terabyte":   filled("d1:a1000000000000:", topTail, same("a")),
		"files of one letter":    filled(v1Head, v1Tail, first(files, same(file("1:a")))),
		"files of no name":       filled(v1Head, v1Tail, first(files, same(file("0:")))),
		"files of no path":       filled(v1Head, v1Tail, first(files, same(file("")))),
		"files of ..":            filled(v1Head, v1Tail, first(files, same(file("2:..")))),
		"different files":        filled(v1Head, v1Tail, first(files, func(i int) string { return file("6:" + num(i)) })),
		"files in directories":   filled(v1Head, v1Tail, first(files, func(i int) string { return file("3:dir6:" + num(i)) })),
		"a directory for each":   filled(v1Head, v1Tail, first(files, func(i int) string { return file("6:" + num(i) + "1:a") })),
		"deep paths":             filled(v1Head, v1Tail, func(i int) string { return file("6:" + num(i) + strings.Repeat("1:a", 100)) }),
		"deep paths to and fro":  filled(v1Head, v1Tail, func(i int) string { return file("1:" + string('a'+rune(i%2)) + strings.Repeat("1:a", 99) + "1:x") }),
		"too deep paths":         filled(v1Head, v1Tail, same(file(strings.Repeat("1:a", 3000)))),
		"one deep path":          filled(v1Head+"d6:lengthi0e4:pathl", "ee"+v1Tail, same("1:a")),
		"long names":             filled(v1Head, v1Tail, same(file(str(strings.Repeat("n", 5000))))),
		"one long name":          filled(v1Head+"d6:lengthi0e4:pathl"+long+":", "ee"+v1Tail, same("n")),
		"case collisions":        filled(v1Head, v1Tail, first(files, func(i int) string { return file("4:" + caseOf("abcd", i)) })),
		"collisions, numbered":   filled(v1Head, v1Tail, first(files, func(i int) string { return file(str([]string{"a", fmt.Sprintf("a.%d", i/2)}[i%2])) })),
		"collisions, long":       filled(v1Head, v1Tail, same(file(str(strings.Repeat("n", 255))))),
		"collisions, composed":   filled(v1Head, v1Tail, first(files, func(i int) string { return file(str([]string{"\u00e9", "e\u0301", "E\u0301"}[i%3])) })),
		"collisions, both kinds": filled(v1Head, v1Tail, first(files, func(i int) string { return file([]string{"1:a", "1:A1:b", "1:a1:B"}[i%3]) })),
		"control characters":     filled(v1Head, v1Tail, first(files, func(i int) string { return file(str("\x01\x02" + num(i))) })),
		"invisible characters":   filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("\u200b\ufeff", 40) + num(i))) }),
		"joiners":                filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("漢\u200d", 40) + num(i))) }),
		"emoji":                  filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("❤️‍🔥", 18) + num(i))) }),
		"joiners, colliding":     filled(v1Head, v1Tail, func(i int) string { return file(str("é" + strings.Repeat("\u200d", i%80))) }),
		"tags":                   filled(v1Head, v1Tail, func(i int) string { return file(str("🏴" + strings.Repeat("\U000e0041", 60) + num(i))) }),
		"not UTF-8":              filled(v1Head, v1Tail, first(files, func(i int) string { return file(str("\xff\xfe" + num(i))) })),
		"composing names":        filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("e\u0301", 80) + num(i))) }),
		"folding names":          filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("ΣΐßǅÉ", 25) + num(i))) }),
		"marks on one letter":    filled(v1Head, v1Tail, func(i int) string { return file(str("e" + strings.Repeat("\u0301\u0323", 62) + num(i))) }),
		"hangul":                 filled(v1Head, v1Tail, func(i int) string { return file(str(strings.Repeat("\u1112\u1161\u11ab", 27) + num(i))) }),
		"unsorted files":         filled(v1Head, v1Tail, first(files, same("d4:pathl1:ae6:lengthi0ee"))),
		"equal keys in files":    filled(v1Head, v1Tail, same("d6:lengthi0e6:lengthi1e4:pathl1:aee")),
		"unsorted wide files":    filled(v1Head, v1Tail, first(20_000, func(i int) string { return wideFile(60) })),
		"unsorted widest files":  filled(v1Head, v1Tail, first(300, func(i int) string { return wideFile(4000) })),
		"unknown keys in files":  filled(v1Head, v1Tail, first(files, func(i int) string { return "d1:ad1:ad1:aleee6:lengthi0e4:pathl6:" + num(i) + "ee" })),
		"huge lengths":           filled(v1Head, v1Tail, same("d6:lengthi4611686018427387904e4:pathl1:aee")),
		"wrapped total":          filled(v1Head, v1Tail, first(files, same("d6:lengthi9223372036854775807e4:pathl1:aee"))),
		"negative lengths":       filled(v1Head, v1Tail, same("d6:lengthi-1e4:pathl1:aee")),
		"wrong types":            filled(v1Head, v1Tail, same("d6:length1:x4:pathi0ee")),
		"links":                  filled(v1Head, v1Tail, func(i int) string { return link(num(i), num(i+1)) }),
		"links, 10,000":          s.linked(func(i int) string { return link(num(i), num((i+1)%10000)) }),
		"links in a chain":       s.linked(func(i int) string { return link(num(i), num(max(i-1, 0))) }),
		"links, deep": s.linked(func(i int) string {
			return "d4:attr1:l6:lengthi0e4:pathl6:" + num(i) + strings.Repeat("1:d", 99) + "1:xe12:symlink pathl6:" + num((i+1)%10000) + strings.Repeat("1:d", 98) + "ee"
		}),
		"pads":               filled(v1Head, v1Tail, first(files, same("d4:attr1:p6:lengthi0e4:pathl4:.pad1:0ee"))),
		"many pieces":        filled("d4:infod6:lengthi8589934592e4:name1:n12:piece lengthi16384e6:pieces"+long+":", "ee", same("a")),
		"pieces of one byte": whole("d4:infod6:lengthi9007199254740992e4:name1:n12:piece lengthi1e6:pieces0:ee"),
		"v2 pieces":          whole("d4:infod9:file treed1:nd0:d6:lengthi2251799813685248e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee" + v2Tail),
		"v2 empty files":     filled(v2Head, v2Tail, first(files, func(i int) string { return "6:" + num(i) + "d0:d6:lengthi0eee" })),
		"v2 files":           filled(v2Head, v2Tail, v2File(16384)),
		"v2 large files":     filled(v2Head, v2Tail, v2File(1<<30)),
		"v2 wrapped total":   filled(v2Head, v2Tail, v2File(1<<61)),
		"v2 deep":            filled(v2Head, "", same("1:ad")),
		"v2 deep, many": filled(v2Head, v2Tail, first(20_000, func(i int) string {
			return "6:" + num(i) + "d" + strings.Repeat("1:ad", 90) + "0:d6:lengthi0ee" + strings.Repeat("e", 91)
		})),
		"v2 empty directories":    filled(v2Head, v2Tail, first(700_000, func(i int) string { return "6:" + num(i) + "de" })),
		"v2 equal names":          filled(v2Head, v2Tail, first(files, same("1:ad0:d6:lengthi0eee"))),
		"layers, tiny":            filled("d"+v2Info(nil)+"12:piece layersd", "ee", func(i int) string { return str(root(i)) + "0:" }),
		"layers, unused":          filled("d"+v2Info(nil)+"12:piece layersd", "ee", layerPart(64)),
		"layers, one":             filled("d"+v2Info(nil)+"12:piece layersd32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"+long+":", "ee", same("a")),
		"layers, wrong":           filled("d"+v2Info(nil)+"12:piece layersd", "ee", func(i int) string { return str(root(i)) + str(strings.Repeat("a", 64)) }),
		"layers before info":      filled("d12:piece layersd", "e"+v2Info(nil)+"e", layerPart(64)),
		"layers that fit":         s.layered,
		"trackers":                filled("d13:announce-listl", "e"+topTail, same("l1:ae")),
		"trackers in one tier":    filled("d13:announce-listll", "ee"+topTail, same("1:a")),
		"empty tiers":             filled("d13:announce-listl", "e"+topTail, same("le")),
		"web seeds":               filled("d8:url-listl", "e"+topTail, same("1:a")),
		"web seeds before":        filled("d"+topTail[:len(topTail)-1]+"8:url-listl", "ee", same("1:a")),
		"nodes":                   filled("d"+topTail[:len(topTail)-1]+"5:nodesl", "ee", same("l1:ai1ee")),
		"bad nodes":               filled("d"+topTail[:len(topTail)-1]+"5:nodesl", "ee", same("le")),
		"similar":                 filled("d"+topTail[:len(topTail)-1]+"7:similarl", "ee", same("20:aaaaaaaaaaaaaaaaaaaa")),
		"bad similar":             filled("d"+topTail[:len(topTail)-1]+"7:similarl", "ee", same("0:")),
		"collections":             filled("d11:collectionsl", "e"+topTail, same("1:a")),
		"long comment":            filled("d7:comment"+long+":", "", same("\xff")),
		"long tracker":            filled("d8:announce"+long+":", "", same("\xff")),
		"long name":               filled("d4:infod6:lengthi0e4:name"+long+":", "12:piece lengthi1e6:pieces0:ee", same("\xff")),
		"trailing bytes":          filled("d"+topTail, "", same("x")),
		"hybrid that disagrees":   s.hybridOf(files, func(i int) (string, string) { return num(i), num(i + i/1000) }),
		"hybrid of empty files":   s.hybridOf(files, func(i int) (string, string) { return num(i), num(i) }),
		"hybrid of deep paths":    s.hybridOf(files, func(i int) (string, string) { return num(i), num(i) }),
		"hybrid with pads":        filled("d4:infod9:file treede5:filesl", "e12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces0:ee", first(files, same("d4:attr1:p6:lengthi0e4:pathl4:.pad1:0ee"))),
		"nothing but zeros":       filled("", "", same("\x00")),
		"nothing but ends":        filled("", "", same("e")),
		"text":                    filled("<html>", "", same("hello ")),
		"many infos":              filled("d", "e", same("4:infode")),
		"info is a list":          filled("d4:infol", "ee", same("le")),
		"path and path.utf-8":     filled(v1Head, v1Tail, first(files, func(i int) string { return "d6:lengthi0e4:pathl6:" + num(i) + "e10:path.utf-8l6:" + num(i) + "ee" })),
		"attributes":              filled(v1Head, v1Tail, first(files, same("d4:attr8:pxhlpxhl6:lengthi0e4:pathl1:aee"))),
		"links without a target":  filled(v1Head, v1Tail, first(files, same("d4:attr1:l6:lengthi0e4:pathl1:aee"))),
		"links with long targets": filled(v1Head, v1Tail, same("d4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl"+strings.Repeat("1:a", 90)+"ee")),
	}
}

func caseOf(s string, i int) string {
	b := []byte(s)
	for k := range b {
		if i>>k&1 == 1 {
			b[k] -= 'a' - 'A'
		}
	}
	return string(b)
}

func wideFile(n int) string {
	var b strings.Builder
	b.WriteString("d1:zle")
	for i := range n {
		fmt.Fprintf(&b, "4:%04dle", i)
	}
	return b.String() + "6:lengthi0e4:pathl1:aee"
}

func link(from, to string) string {
	return "d4:attr1:l6:lengthi0e4:pathl" + str(from) + "e12:symlink pathl" + str(to) + "ee"
}

func (s hostileSize) linked(part func(i int) string) func() []byte {
	return s.filled(v1Head, v1Tail, first(10_000, part))
}

func root(i int) string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	return string(b[:])
}

func v2File(length int64) func(i int) string {
	return func(i int) string {
		return fmt.Sprintf("6:%06xd0:d6:lengthi%de11:pieces root%see", i, length, str(root(i)))
	}
}

// v2Info returns an info dictionary with one file of two pieces, and its key.
func v2Info(root []byte) string {
	if root == nil {
		root = make([]byte, 32)
	}
	return "4:infod9:file treed1:nd0:d6:lengthi20000e11:pieces root" + str(string(root)) + "eee12:meta versioni2e4:name1:n12:piece lengthi16384ee"
}

// layer returns the i-th layer of n bytes, and its root.
func layer(i, n int) (root [32]byte, hashes []byte) {
	for len(hashes) < n {
		h := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(len(hashes)), byte(len(hashes) >> 8)})
		hashes = append(hashes, h[:]...)
	}
	return merkle.Root(hashes, 0), hashes
}

func layerPart(n int) func(i int) string {
	return func(i int) string {
		r, h := layer(i, n)
		return str(string(r[:])) + str(string(h))
	}
}

// layered returns a v2 torrent of many files of two pieces with their layers.
func (s hostileSize) layered() []byte {
	n := int(s) / 190
	b := []byte(v2Head)
	var tail []byte
	for i := range n {
		r, h := layer(i, 64)
		b = fmt.Appendf(b, "6:%06xd0:d6:lengthi20000e11:pieces root%see", i, str(string(r[:])))
		tail = append(tail, str(string(r[:]))+str(string(h))...)
	}
	b = append(b, v2Tail[:len(v2Tail)-1]...)
	b = append(b, "12:piece layersd"...)
	return append(append(b, tail...), "ee"...)
}

// hybridOf returns a hybrid torrent of n files. names gives the v1 and v2 names of each
// file.
func (s hostileSize) hybridOf(n int, names func(i int) (v1, v2 string)) func() []byte {
	return func() []byte {
		var tree, list []byte
		for i := range min(n, int(s)/70) {
			a, b := names(i)
			list = append(list, "d6:lengthi0e4:pathl"+str(a)+"ee"...)
			tree = append(tree, str(b)+"d0:d6:lengthi0eee"...)
		}
		out := append([]byte("d4:infod9:file treed"), tree...)
		out = append(append(out, "e5:filesl"...), list...)
		return append(out, "e12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces0:ee"...)
	}
}

// TestHostile checks that every torrent gives a result or an error of this package within
// costTime and costMemory.
func TestHostile(t *testing.T) {
	size := hostileSize(smallSize)
	if raceEnabled || testing.Short() {
		size /= 20
	}
	size.test(t)
}

// TestHostileLarge checks that the cost of large torrents is in proportion to their size.
// Torrents of the maximum size take four times as long.
func TestHostileLarge(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("takes minutes")
	}
	hostileSize(metainfo.MaxSize / 4).test(t)
}

func (s hostileSize) test(t *testing.T) {
	more := max(1, float64(s)/smallSize)
	most := uint64(more*costMemory) - uint64(s)
	costTime := time.Duration(more * float64(costTime))
	for name, build := range s.torrents() {
		t.Run(name, func(t *testing.T) {
			b := build()
			var m *metainfo.MetaInfo
			var err error
			best, bytes := time.Hour, uint64(0)
			for range 10 {
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start, cpu := time.Now(), cpuTime()
				m, err = metainfo.Parse(b)
				took := min(time.Since(start), cpuTime()-cpu)
				runtime.ReadMemStats(&after)
				best, bytes = min(best, took), after.TotalAlloc-before.TotalAlloc
				if best < costTime {
					break
				}
			}
			files := 0
			if err == nil {
				files = len(m.Info.Files)
				checkSafe(t, m)
			}
			t.Logf("%v, %.1f MiB, %d files, %v", best, float64(bytes)/(1<<20), files, err)
			var typed *metainfo.Error
			if err != nil && !errors.As(err, &typed) {
				t.Errorf("the error has the type %T, want *Error", err)
			}
			if typed != nil && (typed.Offset < -1 || typed.Offset > len(b) || len(typed.Error()) > 500) {
				t.Errorf("the error has an offset outside of the torrent, or is too long: %.600v", typed)
			}
			if best > costTime && !raceEnabled {
				if slow := slowness(); float64(best) > float64(costTime)*slow {
					t.Errorf("took %v, although the machine is %.1f times slower than the reference", best, slow)
				}
			}
			if bytes > most && !raceEnabled {
				t.Errorf("Parse allocated %d bytes, want at most %d", bytes, most)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, build := range hostileSize(smallSize).torrents() {
		b.Run(name, func(b *testing.B) {
			torrent := build()
			b.ReportAllocs()
			for b.Loop() {
				metainfo.Parse(torrent)
			}
		})
	}
}
