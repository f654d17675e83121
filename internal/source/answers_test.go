package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/netguard"
)

// answering serves the same bytes to each connection, and counts the requests.
func answering(t *testing.T, answer string, reset bool) (url string, asked *atomic.Int32) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			asked.Add(1)
			io.WriteString(c, answer)
			if reset {
				c.(*net.TCPConn).SetLinger(0)
			}
			c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/x.torrent", asked
}

// TestAnswersOfServers checks the errors about answers that are damaged, cut or no torrent, and
// after which of them Resolve asks again.
func TestAnswersOfServers(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, someTorrent)
	z.Close()
	zipped := b.String()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-bittorrent\r\n"
	half := someTorrent[:len(someTorrent)/2]
	for name, c := range map[string]struct {
		answer string
		code   fault.Code
		again  bool
		says   string // in the error and its hint
	}{
		"whole":                 {head + "\r\n" + someTorrent, 0, false, ""},
		"whole, HTTP/1.0":       {"HTTP/1.0 200 OK\r\n\r\n" + someTorrent, 0, false, ""},
		"whole after 100":       {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + head + "\r\n" + someTorrent, 0, false, ""},
		"gzip":                  {head + "Content-Encoding: gzip\r\n\r\n" + zipped, 0, false, ""},
		"GZIP":                  {head + "Content-Encoding: GZIP\r\n\r\n" + zipped, 0, false, ""},
		"identity":              {head + "Content-Encoding: identity\r\n\r\n" + someTorrent, 0, false, ""},
		"said to be encoded":    {head + "Content-Encoding: deflate\r\n\r\n" + someTorrent, 0, false, ""},
		"cut with length":       {head + "Content-Length: 100\r\n\r\n" + half, fault.Network, true, "ended early"},
		"cut without length":    {head + "\r\n" + half, fault.Network, true, "ended early"},
		"cut in HTTP/1.0":       {"HTTP/1.0 200 OK\r\n\r\n" + half, fault.Network, true, "ended early"},
		"cut between chunks":    {head + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + half[:20] + "\r\n", fault.Network, true, "ended early"},
		"cut in a chunk":        {head + "Transfer-Encoding: chunked\r\n\r\n24\r\n" + half[:20], fault.Network, true, "ended early"},
		"cut gzip":              {head + "Content-Encoding: gzip\r\n\r\n" + zipped[:len(zipped)-12], fault.Network, true, "ended early"},
		"cut head of gzip":      {head + "Content-Encoding: gzip\r\n\r\n" + zipped[:5], fault.Network, true, "ended early"},
		"cut page":              {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\n<a", fault.Network, true, "ended early"},
		"cut Metalink":          {"HTTP/1.1 200 OK\r\nContent-Type: application/metalink4+xml\r\nContent-Length: 100\r\n\r\n<m", fault.Network, true, "ended early"},
		"nothing":               {"", fault.Network, true, "closed the connection without an answer"},
		"cut in the version":    {"HTT", fault.Network, true, "inside the header"},
		"cut after the version": {"HTTP/1.1 ", fault.Network, true, "inside the header"},
		"cut in the status":     {"HTTP/1.1 20", fault.Network, true, "inside the header"},
		"cut after the status":  {"HTTP/1.1 200", fault.Network, true, "inside the header"},
		"cut in the reason":     {"HTTP/1.1 200 O", fault.Network, true, "inside the header"},
		"cut after a line":      {"HTTP/1.1 200 OK\r\n", fault.Network, true, "inside the header"},
		"cut in a CRLF":         {head + "\r", fault.Network, true, "inside the header"},
		"cut in a name":         {head + "Content-Le", fault.Network, true, "inside the header"},
		"cut after a colon":     {head + "Content-Length:", fault.Network, true, "inside the header"},
		"cut in a value":        {head + "Content-Length: 1", fault.Network, true, "inside the header"},
		"cut before the end":    {head + "Content-Length: 100\r\n", fault.Network, true, "inside the header"},
		"cut after 100":         {"HTTP/1.1 100 Continue\r\n\r\n", fault.Network, true, "inside the header"},
		"cut in a second head":  {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1", fault.Network, true, "inside the header"},
		"cut in a redirect":     {"HTTP/1.1 302 Found\r\nLocation: /el", fault.Network, true, "inside the header"},
		"a bad field":           {head + "Content-Le\r\n\r\n" + someTorrent, fault.Network, false, "not valid HTTP"},
		"no body":               {head + "\r\n", fault.Network, true, "ended early"},
		"a bad chunk":           {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + half, fault.Network, true, "damaged"},
		"a bad sum of gzip":     {head + "Content-Encoding: gzip\r\n\r\n" + zipped[:len(zipped)-8] + "12345678", fault.Network, true, "damaged"},
		"no gzip":               {head + "Content-Encoding: gzip\r\n\r\nhello hello hello", fault.Network, false, "not encoded as it says"},
		"brotli":                {head + "Content-Encoding: br\r\n\r\n\x01\x02\x03", fault.BadData, false, `encodes the answer as "br"`},
		"a page as torrent":     {head + "\r\n<html>login", fault.BadData, false, "a web page in place of the torrent"},
		"a page without type":   {"HTTP/1.1 200 OK\r\n\r\n<!DOCTYPE html>", fault.BadData, false, "a web page in place of the torrent"},
		"a page":                {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>login", fault.NotFound, false, "a web page in place of the torrent"},
		"a text":                {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nPlease log in", fault.BadData, false, "not a torrent"},
		"no HTTP":               {"hello\r\n", fault.Network, false, "not valid HTTP"},
		"a bad status":          {"HTTP/1.1 abc\r\n\r\n", fault.Network, false, "not valid HTTP"},
		"two lengths":           {head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + someTorrent, fault.Network, false, "not valid HTTP"},
		"a negative length":     {head + "Content-Length: -5\r\n\r\n" + someTorrent, fault.Network, false, "not valid HTTP"},
		"a huge head":           {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", fault.Network, false, "not valid HTTP"},
		"no content":            {"HTTP/1.1 204 No Content\r\n\r\n", fault.Network, false, "204"},
		"a part":                {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nd4", fault.Network, false, "206"},
		"a password":            {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", fault.Network, false, "NAME:PASSWORD@"},
		"a redirect to nowhere": {"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", fault.Network, false, "without a Location"},
		"a redirect to itself":  {"HTTP/1.1 307 Temporary\r\nLocation: \r\nLocation: x.torrent\r\nContent-Length: 0\r\n\r\n", fault.Network, false, "Location"},
		"a circle":              {"HTTP/1.1 308 Permanent\r\nLocation: x.torrent#a\r\nContent-Length: 0\r\n\r\n", fault.Network, false, "circle"},
	} {
		for _, reset := range []bool{false, true} {
			if reset && !c.again {
				continue // the client may not read what came before the reset
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				url, asked := answering(t, c.answer, reset)
				r := &Resolver{retry: netguard.Backoff{First: time.Millisecond, Last: time.Millisecond}}
				src, err := r.Resolve(t.Context(), url)
				want := int32(1)
				if c.again {
					want += maxRepeats
				}
				if name == "a page" {
					want++ // x.torrent.torrent
				}
				switch {
				case fault.CodeOf(err) != c.code, asked.Load() != want, err == nil && string(src.Torrent) != someTorrent:
					t.Errorf("%+v, %v (%s), code %d, asked %d times; want code %d, %d times", src, err, fault.HintOf(err), fault.CodeOf(err), asked.Load(), c.code, want)
				case err != nil && (!strings.Contains(err.Error(), url) || !reset && !strings.Contains(err.Error()+fault.HintOf(err), c.says)):
					t.Errorf("%v (%s); want the URL and %q", err, fault.HintOf(err), c.says)
				}
			})
		}
	}
}
