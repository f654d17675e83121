package trackerserver

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"spate/tracker/wire"
)

// TestMessageInTheSegmentOfTheRequestIsRead checks that a tracker reads a message that a client sends
// together with its request for a WebSocket connection.
func TestMessageInTheSegmentOfTheRequestIsRead(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	m := wire.AppendWSRequest(nil, &wire.WSRequest{InfoHash: testHash, PeerID: peer(1).PeerID, Left: 5})
	frame := append([]byte{0x81, 0x80 | 126, byte(len(m) >> 8), byte(len(m)), 0, 0, 0, 0}, m...) // masked with zeros (RFC 6455, section 5.2)
	request := "GET /announce HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	if _, err := conn.Write(append([]byte(request), frame...)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", resp, err)
	}
	reply := make([]byte, len(`....{"action":"announce"`))
	if _, err := io.ReadFull(r, reply); err != nil || !strings.Contains(string(reply), `{"action":"announce"`) {
		t.Errorf("the reply is %q, %v", reply, err)
	}
}
