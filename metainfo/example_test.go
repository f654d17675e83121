package metainfo_test

import (
	"crypto/sha1"
	"fmt"
	"log"

	"spate/metainfo"
)

func ExampleReadFile() {
	m, err := metainfo.ReadFile("testdata/golden/libtorrent-tree-hybrid.torrent")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Info.Name, m.Info.Format(), m.Hash())
	fmt.Println(m.Info.NumPieces(), "pieces of", m.Info.PieceLength, "bytes from", m.AnnounceList)
	for i := range m.Info.Files {
		if f := &m.Info.Files[i]; !f.Pad() {
			fmt.Println(f.DisplayPath(), f.Length)
		}
	}
	// Output:
	// tree hybrid 6c25b4abb8f3e4d876498f4118f45f035a1d009e
	// 13 pieces of 32768 bytes from [[http://tracker.example/announce] [udp://tracker.example:6969]]
	// a.bin 100000
	// b.bin 0
	// dir/Z.txt 5
	// dir/c.bin 16384
	// dir/sub/d.bin 70001
	// exact.bin 65536
	// zero 0
	// é.txt 40000
}

func ExampleNew() {
	data := []byte("hello, world")
	hash := sha1.Sum(data)
	m, err := metainfo.New(metainfo.Info{
		Name:        "hello.txt",
		PieceLength: 16 << 10,
		Pieces:      hash[:],
		Files:       []metainfo.File{{Length: int64(len(data))}},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	m.AnnounceList = [][]string{{"http://tracker.example:6969/announce"}}
	b, err := m.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(b), "bytes")
	fmt.Println(m.Magnet())
	// Output:
	// 141 bytes
	// magnet:?xt=urn:btih:6602c008332605bd8b20fb3f3370072468491321&dn=hello.txt&xl=12&tr=http%3A%2F%2Ftracker.example%3A6969%2Fannounce
}

func ExampleMetaInfo_Bytes() {
	m, err := metainfo.ReadFile("testdata/golden/mktorrent-tree.torrent")
	if err != nil {
		log.Fatal(err)
	}
	before := m.Hash()
	m.AnnounceList = [][]string{{"http://other.example/announce"}}
	m.Comment = "another tracker, the same info-hash"
	b, err := m.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	if m, err = metainfo.Parse(b); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Hash() == before, m.AnnounceList, m.WebSeeds)
	// Output: true [[http://other.example/announce]] [http://seed.example/files/]
}

func ExampleParseMagnet() {
	g, err := metainfo.ParseMagnet("magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH&dn=a%20b&tr=udp%3A%2F%2Fx%3A1&so=0,2-3")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Hash(), g.Name, g.Trackers, g.Selected(1), g.Selected(2))
	// Output: 0123456789abcdef0123456789abcdef01234567 a b [udp://x:1] false true
}

func ExampleInfo_Renames() {
	m, err := metainfo.Parse([]byte("d4:infod5:filesl" +
		"d6:lengthi0e4:pathl2:..6:passwdee" +
		"d6:lengthi0e4:pathl3:ABCee" +
		"d6:lengthi0e4:pathl3:abcee" +
		"e4:name4:name12:piece lengthi16384e6:pieces0:ee"))
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range m.Info.Renames(m.InfoBytes) {
		fmt.Printf("%q is written as %q\n", r.Raw, r.Path)
	}
	// Output:
	// [".." "passwd"] is written as ["passwd"]
	// ["abc"] is written as ["abc.1"]
}
