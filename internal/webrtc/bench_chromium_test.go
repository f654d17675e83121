//go:build unix

package webrtc

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkChromium measures the processor time of this side alone for transfers into and from
// Chromium. It is skipped if Chromium is not installed.
func BenchmarkChromium(b *testing.B) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		b.Skip("chromium is not installed")
	}
	// Chromium uses no loopback addresses.
	at := outward(b)
	for _, into := range []bool{true, false} {
		name := "from"
		if into {
			name = "into"
		}
		b.Run(name, func(b *testing.B) {
			h := newMuxHost(b, at)
			opened := make(chan *Stream, 1)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, chromiumPage)
			})
			mux.HandleFunc("POST /offer", func(w http.ResponseWriter, r *http.Request) {
				offer, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
				answer, err := h.Answer(string(offer), func(s *Stream) { opened <- s })
				if err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
					return
				}
				io.WriteString(w, answer)
			})
			site := httptest.NewServer(mux)
			b.Cleanup(site.Close)
			page := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
				"--disable-background-networking", "--user-data-dir="+b.TempDir(), site.URL+"/?"+name)
			if err := page.Start(); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { page.Process.Kill(); page.Wait() })
			var s *Stream
			select {
			case s = <-opened:
			case <-time.After(patience):
				b.Fatalf("no data channel: %+v", h.Stats())
			}
			b.Cleanup(func() { s.Close() })
			piece := make([]byte, 16397) // a block in a message of the peer protocol
			total := int64(b.N) * int64(len(piece))
			b.SetBytes(int64(len(piece)))
			b.ResetTimer()
			before := cpu()
			if into {
				for range b.N {
					if _, err := s.Write(piece); err != nil {
						b.Fatal(err)
					}
				}
				for s.Unacked() > 0 {
					time.Sleep(time.Millisecond)
				}
			} else if _, err := io.CopyN(io.Discard, s, total); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((cpu()-before).Seconds()/float64(total)*1e9, "cpu-s/GB")
		})
	}
}

// chromiumPage connects to the endpoint, and receives or sends as long as it is open.
const chromiumPage = `<!DOCTYPE html><title>x</title><script type="module">
const peer = new RTCPeerConnection(), channel = peer.createDataChannel("x");
channel.binaryType = "arraybuffer";
channel.bufferedAmountLowThreshold = 1 << 20;
const piece = new Uint8Array(16397);
const fill = () => { while (channel.bufferedAmount < 4 << 20) channel.send(piece); };
let got = 0;
channel.onmessage = (m) => { got += m.data.byteLength; };
if (location.search === "?from") channel.onopen = channel.onbufferedamountlow = fill;
await peer.setLocalDescription();
while (peer.iceGatheringState !== "complete") await new Promise((next) => { peer.onicegatheringstatechange = next; });
const answer = await fetch("/offer", { method: "POST", body: peer.localDescription.sdp });
await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
</script>`

// outward returns an address of this machine that is not loopback.
func outward(b *testing.B) netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr()
		}
	}
	b.Skip("this machine has no address but loopback")
	return netip.Addr{}
}
