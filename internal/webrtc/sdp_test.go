package webrtc

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// chromium is an offer of Chromium 156 for a data channel.
const chromium = "v=0\r\no=- 4862261436389562431 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n" +
	"m=application 51301 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 198.51.100.7\r\n" +
	"a=candidate:2013266431 1 udp 2113937151 5f1a8e1e-9a5f-4c39-9a57-0c8b4bb0c5ab.local 51301 typ host generation 0 network-cost 999\r\n" +
	"a=candidate:842163049 1 udp 1677729535 198.51.100.7 51301 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n" +
	"a=candidate:1 1 tcp 1518280447 198.51.100.7 9 typ host tcptype active generation 0\r\n" +
	"a=ice-ufrag:vT4z\r\na=ice-pwd:JlS5s+eJ1pXb0fGdC3x4WjQ7\r\na=ice-options:trickle\r\n" +
	"a=fingerprint:sha-256 6B:8B:5D:EA:59:04:20:23:29:C8:87:1C:CC:87:32:BE:DD:8C:66:A5:8E:50:55:EA:8C:D3:B6:5C:09:5E:D6:BC\r\n" +
	"a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"

func TestParsesDescriptionOfABrowser(t *testing.T) {
	t.Parallel()
	d, err := parseSDP(chromium)
	if err != nil {
		t.Fatal(err)
	}
	want := netip.MustParseAddrPort("198.51.100.7:51301")
	if d.ufrag != "vT4z" || d.setup != setupActpass || d.lite || d.mid != "0" || d.maxMessage != ourMaxMessage || len(d.candidates) != 1 || d.candidates[0] != want {
		t.Errorf("got %+v", d)
	}
	if _, err := parseSDP(strings.ReplaceAll(chromium, "\r\n", "\n")); err != nil {
		t.Errorf("lines that end with LF alone: %v", err)
	}
}

func TestRefusesUnusableDescriptions(t *testing.T) {
	t.Parallel()
	change := func(old, new string) string {
		if !strings.Contains(chromium, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(chromium, old, new, 1)
	}
	for what, text := range map[string]string{
		"nothing":                 "",
		"too long":                chromium + strings.Repeat("a=x:"+strings.Repeat("y", 1000)+"\r\n", 16),
		"too many lines":          chromium + strings.Repeat("a=\r\n", maxLines),
		"video":                   chromium + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
		"two data channels":       chromium + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
		"no password":             change("a=ice-pwd", "a=x"),
		"a short password":        change("JlS5s+eJ1pXb0fGdC3x4WjQ7", "JlS5s"),
		"a long user name":        change("vT4z", strings.Repeat("vT4z", 9)),
		"a password with spaces":  change("JlS5s+eJ1pXb0fGdC3x4WjQ7", "JlS5s eJ1pXb0fGdC3x4WjQ7"),
		"no fingerprint":          change("a=fingerprint", "a=x"),
		"a short fingerprint":     change(":D6:BC", ""),
		"SHA-1 alone":             change("sha-256", "sha-1"),
		"no setup":                change("a=setup", "a=x"),
		"an unknown setup":        change("actpass", "holdconn"),
		"no port":                 change("a=sctp-port", "a=x"),
		"another port":            change("sctp-port:5000", "sctp-port:5001"),
		"port 0":                  change("sctp-port:5000", "sctp-port:0"),
		"a negative message size": change("size:262144", "size:-1"),
		"a mid with a line break": change("mid:0", "mid:0\x00"),
	} {
		var bad *SDPError
		if _, err := parseSDP(text); !errors.As(err, &bad) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
}

func TestUsesFewCandidates(t *testing.T) {
	t.Parallel()
	d, err := parseSDP(chromium + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 1000 typ host\r\n", 100))
	if err != nil || len(d.candidates) != maxCandidates {
		t.Errorf("%d candidates, error %v", len(d.candidates), err)
	}
}

// FuzzSDP checks that what is accepted has all that a connection needs, and that this side's text
// for it is accepted too.
func FuzzSDP(f *testing.F) {
	f.Add(chromium)
	f.Add("m=application 9 DTLS/SCTP webrtc-datachannel\na=candidate:1 1 udp 1 ::1 1 typ host")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseSDP(text)
		if err != nil {
			return
		}
		if len(text) > MaxSDP || d.ufrag == "" || len(d.pwd) < 22 || d.setup == setupNone || d.sctpPort == 0 || len(d.candidates) > maxCandidates || d.maxMessage <= 0 || d.maxMessage > ourMaxMessage {
			t.Fatalf("accepted as %+v", d)
		}
		if d.mid == "" {
			d.mid = "0"
		}
		again, err := parseSDP(d.text())
		if err != nil {
			t.Fatalf("%v:\n%s", err, d.text())
		}
		if again.pwd != d.pwd || again.fingerprint != d.fingerprint || len(again.candidates) != len(d.candidates) || again.maxMessage != d.maxMessage {
			t.Errorf("%+v became %+v", d, again)
		}
	})
}
