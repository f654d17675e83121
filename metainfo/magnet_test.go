package metainfo_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"spate"
	"spate/metainfo"
)

const (
	hex1 = "0123456789abcdef0123456789abcdef01234567"
	b32  = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH" // the base32 form of hex1
	hex2 = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"
)

func TestParseMagnet(t *testing.T) {
	v1, _ := spate.ParseInfoHash(hex1)
	v2, _ := spate.ParseInfoHashV2(hex2)
	cases := []struct {
		in   string
		want metainfo.Magnet
	}{
		{"magnet:?xt=urn:btih:" + hex1, metainfo.Magnet{HashV1: v1}},
		{"magnet:?xt=urn:btih:" + strings.ToUpper(hex1), metainfo.Magnet{HashV1: v1}},
		{"MAGNET:?xt=URN:BTIH:" + b32, metainfo.Magnet{HashV1: v1}},
		{"magnet:?xt=urn:btih:" + strings.ToLower(b32), metainfo.Magnet{HashV1: v1}},
		{"magnet:?xt=urn:btmh:1220" + hex2, metainfo.Magnet{HashV2: v2}},
		{"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btmh:1220" + hex2, metainfo.Magnet{HashV1: v1, HashV2: v2}},
		{"magnet:?xt.1=urn:btih:" + hex1 + "&xt.2=urn:sha1:ABC&xt.3=urn:btih:" + hex1, metainfo.Magnet{HashV1: v1}},
		{"magnet:?dn=a%20b%2Bc+d&xl=42&xt=urn:btih:" + hex1, metainfo.Magnet{HashV1: v1, Name: "a b+c d", Length: 42}},
		{"magnet:?xt=urn:btih:" + hex1 + "&tr=http%3A%2F%2Fa%2Fannounce%3Fk%3Dv%26w&tr.1=udp://b:1&tr=udp://b:1&ws=http://w/&as=x&kt=y",
			metainfo.Magnet{HashV1: v1, Trackers: []string{"http://a/announce?k=v&w", "udp://b:1"}, WebSeeds: []string{"http://w/"}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&amp;tr=http://a&amp;dn=x", metainfo.Magnet{HashV1: v1, Name: "x", Trackers: []string{"http://a"}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&x.pe=192.0.2.1:6881&x.pe=%5B2001:db8::1%5D:6881&x.pe=host.example:1&x.pe=nothing&x.pe=a:0&x.pe=a:70000",
			metainfo.Magnet{HashV1: v1, Peers: []string{"192.0.2.1:6881", "[2001:db8::1]:6881", "host.example:1"}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&xs=http%3A%2F%2Fa%2Fx.torrent&xs.2=HTTPS://b/x?id=1&xs=urn:btpk:0&xs=http:///&as=http://c/y.TORRENT&as=http://c/y.iso&as=ftp://d/y.iso&xs=http://a/x.torrent",
			metainfo.Magnet{HashV1: v1, Torrents: []string{"http://a/x.torrent", "HTTPS://b/x?id=1", "http://c/y.TORRENT"}, WebSeeds: []string{"http://c/y.iso"}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&x.pe=%5Bfe80::1%25eth0%5D:6881&x.pe=[fe80::1%252]:1",
			metainfo.Magnet{HashV1: v1, Peers: []string{"[fe80::1%eth0]:6881", "[fe80::1%2]:1"}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&so=0,2,4-6", metainfo.Magnet{HashV1: v1, Select: []metainfo.Range{{First: 0, Last: 0}, {First: 2, Last: 2}, {First: 4, Last: 6}}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&so=x&so=5-4&so=-1&so=99999999999&so=1-2-3&so=1,x", metainfo.Magnet{HashV1: v1}},
		{"magnet:?xt=urn:btih:" + hex1 + "&so=x&so=3&dn=y", metainfo.Magnet{HashV1: v1, Name: "y", Select: []metainfo.Range{{First: 3, Last: 3}}}},
		{"magnet:?xt=urn:btih:" + hex1 + "&so=&so=,&xl=x&xl=-1&dn=%FF&tr=%zz&&=&tr", metainfo.Magnet{HashV1: v1, Name: "?"}},
	}
	for _, c := range cases {
		got, err := metainfo.ParseMagnet(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n %+v, %v, want\n %+v", c.in, got, err, c.want)
		}
		again, err := metainfo.ParseMagnet(got.String())
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%s was written as %s, which gives another link or the error %v", c.in, got, err)
		}
	}
	for _, in := range []string{
		"", "magnet", "magnet:", "magnet:?", "http://x", "magnet:xt=urn:btih:" + hex1, "magnet:?dn=x", "magnet:?xt=urn:sha1:" + b32,
		"magnet:?xt=urn:btih:", "magnet:?xt=urn:btih:" + hex1[1:], "magnet:?xt=urn:btih:" + strings.Repeat("0", 40), "magnet:?xt=urn:btih:" + hex2,
		"magnet:?xt=urn:btmh:" + hex2, "magnet:?xt=urn:btmh:1220" + hex1, "magnet:?xt=urn:btmh:1114" + hex1, "magnet:?xt=urn:btmh:1220" + strings.Repeat("0", 64),
		"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btih:" + hex1[1:] + "0",
		"magnet:?xt=urn:btih:" + hex1 + "&dn=" + strings.Repeat("x", 70_000),
	} {
		if m, err := metainfo.ParseMagnet(in); !errors.Is(err, metainfo.ErrBadMagnet) || len(err.Error()) > 300 {
			t.Errorf("ParseMagnet(%.120s) returned %+v, %v, want a short error that wraps ErrBadMagnet", in, m, err)
		}
	}
}

func TestMagnetSelected(t *testing.T) {
	m := metainfo.Magnet{Select: []metainfo.Range{{First: 1, Last: 2}, {First: 5, Last: 5}}}
	for i, want := range []bool{false, true, true, false, false, true, false} {
		if m.Selected(i) != want {
			t.Errorf("Selected(%d) is %v, want %v", i, !want, want)
		}
	}
	if !(metainfo.Magnet{}).Selected(7) {
		t.Error("without a selection not all files are selected")
	}
}

// TestMagnetOfTorrent checks that magnet links contain web seeds.
func TestMagnetOfTorrent(t *testing.T) {
	b := []byte(dict("announce-list", list(list(str("http://a/announce"), str("http://b")), list(str("udp://c:1"))), "info", oneFile("name", str("x y/z")), "url-list", str("http://w/?a&b")))
	m := mustParse(t, b)
	want := "magnet:?xt=urn:btih:" + m.Hash().String() + "&dn=x%20y_z&xl=1&tr=http%3A%2F%2Fa%2Fannounce&tr=http%3A%2F%2Fb&tr=udp%3A%2F%2Fc%3A1&ws=http%3A%2F%2Fw%2F%3Fa%26b"
	if got := m.Magnet().String(); got != want {
		t.Errorf("%s\n want %s", got, want)
	}
	if m.Magnet().Hash() != m.Hash() {
		t.Error("the magnet link has another info-hash than the torrent")
	}
}

// TestMagnetHosts checks that a link contains hosts in ASCII, and keeps what is no URL.
func TestMagnetHosts(t *testing.T) {
	h, _ := spate.ParseInfoHash(hex1)
	m := metainfo.Magnet{HashV1: h, Trackers: []string{"http://bücher.example:80/ü", "udp://例え。テスト:1", "ü", "http://ü*/"},
		WebSeeds: []string{"ftp://u:p@bücher.example./"}, Peers: []string{"bücher.example:1", "[fe80::1%eth0]:1"}}
	again, err := metainfo.ParseMagnet(m.String())
	m.Trackers[0], m.Trackers[1] = "http://xn--bcher-kva.example:80/ü", "udp://xn--r8jz45g.xn--zckzah:1"
	m.WebSeeds[0], m.Peers[0] = "ftp://u:p@xn--bcher-kva.example./", "xn--bcher-kva.example:1"
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("the link contains %+v, %v; want %+v", again, err, m)
	}
}

// FuzzParseMagnet checks that an accepted link is written and parsed again with the same
// result, except that hosts are then in ASCII.
func FuzzParseMagnet(f *testing.F) {
	for _, s := range []string{
		"magnet:?xt=urn:btih:" + hex1, "magnet:?xt=urn:btih:" + b32 + "&dn=a+b&tr=udp://x&ws=http://y&x.pe=[::1]:2&so=0,3-4&xl=5",
		"magnet:?xt=urn:btmh:1220" + hex2, "magnet:?xt.1=urn:btih:" + hex1 + "&tr.2=%41&amp;dn=%FF", "magnet:?so=1-", "magnet:", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := metainfo.ParseMagnet(s)
		if err != nil {
			if !errors.Is(err, metainfo.ErrBadMagnet) {
				t.Fatalf("ParseMagnet returned %v, want an error that wraps ErrBadMagnet", err)
			}
			return
		}
		again, err := metainfo.ParseMagnet(m.String())
		if err == nil && !reflect.DeepEqual(m, again) {
			m = again // the hosts are in ASCII now
			again, err = metainfo.ParseMagnet(m.String())
		}
		if err == nil && !reflect.DeepEqual(m, again) || err != nil && len(m.String()) < 64<<10 {
			t.Fatalf("%+v\n was written as %s\n and parsed as %+v, %v", m, m, again, err)
		}
		if m.Hash().IsZero() {
			t.Fatal("no info-hash")
		}
	})
}
