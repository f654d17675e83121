package doctor

import (
	"fmt"
	"strings"
	"testing"

	"spate/metainfo"
)

// TestLintOfMagnetLinks checks the findings about magnet links.
func TestLintOfMagnetLinks(t *testing.T) {
	t.Parallel()
	const v1, v2 = "xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a", "xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"
	const tr = "&tr=http://tracker.example.org/announce"
	many := strings.Repeat("&x.pe=10.0.0.1:1", 100)
	for _, c := range []struct {
		link       string
		noDHT, lan bool
		level      Level
		text       string // "": only says that all is well
	}{
		{link: v1 + tr},
		{link: v1 + "&" + v2 + tr + "&x.pe=203.0.113.7:6881&ws=https://files.example.org/a&xs=https://files.example.org/a.torrent"},
		{link: "xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK" + tr, level: Warn, text: "Base32"},
		{link: v2 + tr, level: Note, text: "BitTorrent v2"},
		{link: v1, level: Note, text: "the DHT only"},
		{link: v1, noDHT: true, level: Fail, text: "nobody is found"},
		{link: v1 + "&tr=http://192.168.1.2/announce", level: Warn, text: "tracker http://192.168.1.2 has an address of a private network"},
		{link: v1 + tr + "&x.pe=10.0.0.1:6881", level: Warn, text: "peer 10.0.0.1:6881 has an address of a private network"},
		{link: v1 + tr + "&x.pe=[fe80::1]:6881", level: Warn, text: "private network"},
		{link: v1 + tr + "&x.pe=localhost:6881", level: Warn, text: "this machine"},
		{link: v1 + tr + "&x.pe=127.0.0.1:6881", lan: true},
		{link: v1 + tr + "&ws=http://10.1.1.1/a", level: Warn, text: "web seed http://10.1.1.1/a has"},
		{link: v1 + tr + "&xs=http://127.0.0.1/a.torrent", level: Warn, text: ".torrent URL http://127.0.0.1/a.torrent is this machine"},
		{link: v1 + tr + many, level: Warn, text: "private network"},
	} {
		raw := "magnet:?" + c.link
		link, err := metainfo.ParseMagnet(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		list := LintMagnet(raw, &link, !c.noDHT, c.lan)
		if c.text == "" {
			if len(list) != 1 || list[0].Level != OK {
				t.Errorf("%s has the findings %v", raw, list)
			}
			continue
		}
		want(t, list, "magnet", c.level, c.text)
		if len(list) > maxNamedPeers || strings.Contains(fmt.Sprint(list), "spate edit") {
			t.Errorf("%s has the findings %v", raw, list)
		}
	}
}
