package torrent

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"spate/bitfield"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// TestSpreadOfRange checks that Spread tells the pieces of other addresses from the progress of the
// peers at the address of the client.
func TestSpreadOfRange(t *testing.T) {
	t.Parallel()
	const pieces = 100
	data, mi := noiseTorrent(t, pieces<<14, 1<<14)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the torrent downloads", func() bool { return tor.Stats().State == StateDownloading })
	join := func(from string, have ...int) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Skipf("this system has no loopback address %s: %v", from, err)
		}
		bits := bitfield.New(pieces)
		for _, i := range have {
			bits.Set(i)
		}
		handshakeOver(t, c, mi.Hash(), extendedAndFast()).send(peerwire.AppendBytes(nil, peerwire.Bitfield, bits.Bytes()))
	}
	join("127.0.0.1", 0, 1, 2)
	join("127.0.0.2", 2, 4)
	here, there := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.2")
	until(t, "both peers have told their pieces", func() bool {
		a, _ := tor.Spread(0, 0, 1, here)
		b, _ := tor.Spread(0, 0, 1, there)
		return a.Progress == 3 && b.Progress == 2
	})
	for _, c := range []struct {
		off, n int64
		addr   netip.Addr
		first  int
		have   []bool
		here   int
	}{
		{1<<14 + 5, 3 << 14, here, 1, []bool{false, true, false, true}, 1},
		{1 << 14, 1 << 14, here, 1, []bool{false}, 1},
		{1 << 14, 1 << 14, there, 1, []bool{true}, 1},
		{4 << 14, 1, netip.MustParseAddr("192.0.2.1"), 4, []bool{true}, 0},
		{99 << 14, 1 << 14, netip.Addr{}, 99, []bool{false}, 0},
	} {
		got, ok := tor.Spread(0, c.off, c.n, c.addr)
		if !ok || got.First != c.first || !slices.Equal(got.Have, c.have) || got.Here != c.here {
			t.Errorf("Spread of %d bytes from %d for %v returned %+v, %v; want the pieces %v from %d, and %d peers there", c.n, c.off, c.addr, got, ok, c.have, c.first, c.here)
		}
	}
	if got, _ := tor.Spread(0, 0, pieces<<14, here); len(got.Have) != maxSpread {
		t.Errorf("Spread of the whole file lists %d pieces, want %d", len(got.Have), maxSpread)
	}
	for _, bad := range []struct {
		file   int
		off, n int64
	}{{1, 0, 1}, {-1, 0, 1}, {0, -1, 1}, {0, 0, 0}, {0, pieces << 14, 1}, {0, 0, pieces<<14 + 1}, {0, 1, 1<<63 - 1}} {
		if _, ok := tor.Spread(bad.file, bad.off, bad.n, here); ok {
			t.Errorf("Spread accepts %d bytes from %d of file %d", bad.n, bad.off, bad.file)
		}
	}
}

// TestSpreadCountsDataFiles checks that Spread leaves out padding and symbolic links when it counts
// files, and that it does not compare the files one after the other.
func TestSpreadCountsDataFiles(t *testing.T) {
	t.Parallel()
	link := metainfo.File{Symlink: &metainfo.Symlink{Target: []string{"a"}}, Attr: metainfo.AttrSymlink}
	data, pad := metainfo.File{Length: 1}, metainfo.File{Length: 1, Attr: metainfo.AttrPad}
	for _, c := range []struct {
		files []metainfo.File
		want  []int
	}{
		{[]metainfo.File{data, data}, []int{0, 1}},
		{[]metainfo.File{data, pad, link, data, pad}, []int{0, 3}},
		{[]metainfo.File{pad, link}, nil},
	} {
		var d dataFiles
		for k := -1; k <= len(c.want); k++ {
			want := -1
			if k >= 0 && k < len(c.want) {
				want = c.want[k]
			}
			if got := d.at(&metainfo.Info{Files: c.files}, k); got != want {
				t.Errorf("%v: data file %d is entry %d, want %d", c.files, k, got, want)
			}
		}
	}
	files := make([]metainfo.File, 1<<20)
	info := &metainfo.Info{Files: files}
	var d dataFiles
	if got := d.at(info, len(files)-1); got != len(files)-1 {
		t.Errorf("the last of many files is entry %d", got)
	}
	files[0] = pad // at does not look at the files again
	if got := d.at(info, len(files)-1); got != len(files)-1 {
		t.Errorf("the last of many files is entry %d when it is asked for again", got)
	}
}
