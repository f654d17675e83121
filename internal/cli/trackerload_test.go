//go:build linux

package cli

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spate"
)

// udpClient is a client of a UDP tracker that uses one connection id for all requests.
type udpClient struct {
	conn net.Conn
	id   uint64
	tid  uint32
}

// dialUDP returns a client that has a connection id of the tracker at addr.
func dialUDP(t *testing.T, addr string) *udpClient {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &udpClient{conn: conn, id: 0x41727101980}
	b, err := c.ask(0, nil, often)
	if err != nil || len(b) != 8 {
		t.Fatalf("connect: %v, %d bytes", err, len(b))
	}
	c.id = binary.BigEndian.Uint64(b)
	return c
}

// often is the number of attempts for a request that must be answered.
const often = int(patience / time.Second)

// ask sends a request up to the given number of times, a second apart, and returns the reply
// without its header.
func (c *udpClient) ask(action uint32, body []byte, times int) ([]byte, error) {
	c.tid++
	b := binary.BigEndian.AppendUint64(nil, c.id)
	b = binary.BigEndian.AppendUint32(b, action)
	b = append(binary.BigEndian.AppendUint32(b, c.tid), body...)
	in := make([]byte, 2048)
	var last error
	for range times {
		if _, last = c.conn.Write(b); last != nil { // no socket was open when the previous packet arrived
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c.conn.SetReadDeadline(time.Now().Add(time.Second))
		for {
			var n int
			if n, last = c.conn.Read(in); last != nil {
				break
			}
			if n < 8 || binary.BigEndian.Uint32(in[4:]) != c.tid {
				continue // a reply to an earlier request
			}
			if got := binary.BigEndian.Uint32(in); got != action {
				return nil, fmt.Errorf("error packet: action %d, %q", got, in[8:n])
			}
			return append([]byte(nil), in[8:n]...), nil
		}
	}
	return nil, last
}

// announce announces a peer, and returns the counts of the reply.
func (c *udpClient) announce(ih spate.InfoHash, id spate.PeerID, port uint16, left uint64, event uint32, times int) (leechers, seeders uint32, err error) {
	b := append(append([]byte(nil), ih[:]...), id[:]...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, left)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint32(b, event)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, binary.BigEndian.Uint32(id[16:]))
	b = binary.BigEndian.AppendUint32(b, 0) // numwant
	b = binary.BigEndian.AppendUint16(b, port)
	r, err := c.ask(1, b, times)
	if err == nil && len(r) < 12 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, 0, err
	}
	return binary.BigEndian.Uint32(r[4:]), binary.BigEndian.Uint32(r[8:]), nil
}

// scrape returns the counts of a torrent.
func (c *udpClient) scrape(t *testing.T, ih spate.InfoHash) (seeders, completed, leechers uint32) {
	t.Helper()
	b, err := c.ask(2, ih[:], often)
	if err != nil || len(b) < 12 {
		t.Fatalf("scrape: %v", err)
	}
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
}

// somePeer returns the peer ID with number i.
func somePeer(i uint32) (id spate.PeerID) {
	copy(id[:], "-TT0001-")
	binary.BigEndian.PutUint32(id[12:], i)
	binary.BigEndian.PutUint32(id[16:], i*2654435761)
	return id
}

// httpLoad announces over HTTP until stop is closed, with a new connection for each announce.
func httpLoad(addr string, ih spate.InfoHash, stop <-chan struct{}, ok, failed *atomic.Int64, note func(error)) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		id := somePeer(uint32(i))
		u := "http://" + addr + "/announce?compact=1&numwant=0&left=1&port=" + strconv.Itoa(2000+i%40) +
			"&info_hash=" + url.QueryEscape(string(ih[:])) + "&peer_id=" + url.QueryEscape(string(id[:]))
		resp, err := client.Get(u)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && !strings.Contains(string(b), "8:interval") {
				err = fmt.Errorf("answer %q", b)
			}
		}
		if err != nil {
			failed.Add(1)
			note(err)
			continue
		}
		ok.Add(1)
	}
}

// udpLoad announces over UDP with one connection id until stop is closed.
func udpLoad(c *udpClient, ih spate.InfoHash, stop <-chan struct{}, ok, failed *atomic.Int64, note func(error)) {
	for i := uint32(0); ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if _, _, err := c.announce(ih, somePeer(i), uint16(2000+i%40), 1, 0, often); err != nil {
			failed.Add(1)
			note(err)
			continue
		}
		ok.Add(1)
	}
}

// underLoad runs f while clients announce over HTTP and UDP. The test fails for each announce
// that is refused or not answered.
func underLoad(t *testing.T, addr string, ih spate.InfoHash, f func()) {
	t.Helper()
	stop := make(chan struct{})
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	note := func(err error) { t.Errorf("announce: %v", err) }
	for range 2 {
		c := dialUDP(t, addr)
		wg.Go(func() { httpLoad(addr, ih, stop, &ok, &failed, note) })
		wg.Go(func() { udpLoad(c, ih, stop, &ok, &failed, note) })
	}
	f()
	before := ok.Load()
	for late := time.Now().Add(patience); ok.Load() < before+200 && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d announces, %d failed", ok.Load(), failed.Load())
	if ok.Load() < before+200 {
		t.Error("the tracker stopped answering announces")
	}
}
