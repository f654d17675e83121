package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// proxyOn starts a program of Debian as a proxy on a host, and returns the URL of the proxy for --proxy and the
// process. program is microsocks, danted or tinyproxy.
func proxyOn(t *testing.T, h *host, program string) (string, *proc) {
	t.Helper()
	need(t, program)
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	write := func(text string) {
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := h.IP + ":1080"
	var p *proc
	url := "socks5://" + at
	switch program {
	case "microsocks":
		p = h.start(program, "-p", "1080", "-u", "me", "-P", "s3cret")
		url = "socks5://me:s3cret@" + at
	case "danted":
		write(fmt.Sprintf(`logoutput: stderr
internal: %s port = 1080
external: %s
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
`, h.IP, h.IP))
		p = h.start(program, "-f", conf, "-p", filepath.Join(dir, "pid"))
	case "tinyproxy":
		write("Port 1080\nTimeout 600\nBasicAuth me s3cret\nConnectPort 443\n")
		p = h.start(program, "-d", "-c", conf)
		url = "http://me:s3cret@" + at
	}
	eventually(t, program+" accepts connections", func() bool {
		out, err := exec.Command("ip", "netns", "exec", h.ns, "ss", "-Hltn", "sport = :1080").Output()
		return err == nil && len(out) > 0
	})
	return url, p
}

// behindProxy is a client that reaches others only through a proxy, and counts packets that go past it.
type behindProxy struct {
	t                 *testing.T
	client, via, seed *host
	url               string
	printed           strings.Builder

	past, past6, names func() int
}

func newBehindProxy(t *testing.T) *behindProxy {
	t.Helper()
	need(t, "nft", "ss")
	l := newLAN(t, 3)
	b := &behindProxy{t: t, client: l.Hosts[0].in(t), via: l.Hosts[1].in(t), seed: l.Hosts[2].in(t)}
	b.client.LSD, b.client.Router = true, true
	b.past = countPackets(t, b.client, "ip daddr != "+b.via.IP)
	b.past6 = countPackets(t, b.client, "meta nfproto ipv6 meta l4proto { tcp, udp }")
	b.names = countOutput(t, b.client, "meta l4proto { tcp, udp } th dport 53")
	return b
}

// get fetches a source with everything turned on that could go past the proxy. It returns the exit code and what was
// printed.
func (b *behindProxy) get(source, want string, more ...string) (int, string) {
	b.t.Helper()
	out := b.t.TempDir()
	p := b.client.spate(append([]string{"get", source, "-o", out, "--proxy", b.url, "-vv", "--no-dht=false", "--no-lsd=false", "--no-portmap=false"}, more...)...)
	code := p.wait()
	b.printed.WriteString(p.out.String() + p.log.String())
	if code == 0 && !same(want, filepath.Join(out, filepath.Base(want))) {
		b.t.Error("the file differs")
	}
	return code, p.log.String()
}

// check checks that nothing went past the proxy and that the password was not printed. It then checks the counters.
func (b *behindProxy) check() {
	b.t.Helper()
	if n, n6, dns := b.past(), b.past6(), b.names(); n+n6+dns != 0 {
		b.t.Errorf("%d packets over IPv4 and %d over IPv6 went past the proxy, %d to name servers", n, n6, dns)
	}
	if strings.Contains(b.printed.String(), "s3cret") {
		b.t.Error("the password was printed")
	}
	b.client.spate("get", "http://"+b.seed.IP+":1/", "--timeout", "1s").wait()
	b.client.spate("get", "http://name.example.org/", "--timeout", "1s").stop(syscall.SIGINT)
	if b.past() == 0 {
		b.t.Error("the counter counts nothing")
	}
}

// TestProxyLeaksNothing checks that a client behind a SOCKS5 proxy with a password sends packets to the proxy only, and no
// query to a name server: before the proxy runs, while it runs, for torrents and links with names and with
// trackers and nodes that UDP reaches, and after the proxy has died. The password is printed nowhere.
func TestProxyLeaksNothing(t *testing.T) {
	t.Parallel()
	need(t, "microsocks")
	b := newBehindProxy(t)
	dir := t.TempDir()
	file := noise(t, filepath.Join(dir, "a.bin"), 3_000_000)
	_, r := b.seed.serve("publish", file, "--up", "4M")
	b.url = "socks5://me:s3cret@" + b.via.IP + ":1080"
	if code, log := b.get(r.PageURL, file); code != 6 || !strings.Contains(log, "the proxy socks5://"+b.via.IP+":1080 does not answer") {
		t.Errorf("without the proxy: code %d, %s", code, tail(log))
	}
	var proxy *proc
	b.url, proxy = proxyOn(t, b.via, "microsocks")
	for _, source := range []string{r.PageURL, r.Magnet} {
		if code, log := b.get(source, file); code != 0 {
			t.Errorf("%s: code %d, %s", source, code, tail(log))
		}
	}
	torrent := filepath.Join(dir, "a.torrent")
	b.seed.run("create", file, "-o", torrent, "-a", "udp://tracker.example.org:6969/announce", "-a", "udp://10.93.0.77:6969/announce",
		"--web-seed", "http://web.example.org/a.bin", "--node", "node.example.org:6881")
	b.get(torrent, file, "--timeout", "1s")
	b.get(lastLine(b.seed.run("magnet", torrent))+"&x.pe=peer.example.org:6881&x.pe=10.93.0.78:6881", file, "--timeout", "1s")
	p := b.client.spate("get", r.Magnet, "-o", t.TempDir(), "--proxy", b.url, "--json", "--down", "200k", "--no-lsd=false", "--no-dht=false", "--timeout", "3s")
	p.line("progress", func(s string) bool { return strings.Contains(s, `"progress"`) })
	proxy.stop(syscall.SIGKILL)
	if code := p.wait(); code == 0 {
		t.Error("the download has ended without the proxy")
	}
	if !strings.Contains(p.out.String()+p.log.String(), "the proxy socks5://"+b.via.IP+":1080 ") {
		t.Errorf("the stall does not name the proxy: %s %s", tail(p.out.String()), tail(p.log.String()))
	}
	b.printed.WriteString(p.out.String() + p.log.String())
	b.check()
}

// TestProxiesOfOthers downloads from libtorrent through the SOCKS5 proxy of Dante, and from a web seed through the HTTP proxy
// tinyproxy, which permits tunnels to no other port than that of HTTPS.
func TestProxiesOfOthers(t *testing.T) {
	t.Parallel()
	t.Run("danted", func(t *testing.T) {
		t.Parallel()
		need(t, "danted", "libtorrent")
		b := newBehindProxy(t)
		file := noise(t, filepath.Join(t.TempDir(), "a.bin"), 3_000_000)
		torrent := filepath.Join(t.TempDir(), "a.torrent")
		_, r := b.via.serve("tracker")
		b.seed.run("create", file, "-o", torrent, "-a", r.AnnounceURLs[0])
		libtorrent(b.seed, "seed", torrent, filepath.Dir(file))
		eventually(t, "the tracker knows the seed", func() bool {
			return strings.Contains(b.via.run("scrape", r.AnnounceURLs[0], torrent, "--json"), `"complete":1`)
		})
		b.url, _ = proxyOn(t, b.via, "danted")
		if code, log := b.get(torrent, file); code != 0 {
			t.Errorf("code %d, %s", code, tail(log))
		}
		b.check()
	})
	t.Run("tinyproxy", func(t *testing.T) {
		t.Parallel()
		need(t, "tinyproxy")
		b := newBehindProxy(t)
		file := noise(t, filepath.Join(t.TempDir(), "a.bin"), 3_000_000)
		_, r := b.seed.serve("publish", file)
		b.url, _ = proxyOn(t, b.via, "tinyproxy")
		if code, log := b.get(r.PageURL, file); code != 0 {
			t.Errorf("code %d, %s", code, tail(log))
		}
		if code, log := b.get(r.Magnet, file, "--timeout", "2s"); code == 0 || !strings.Contains(log, "has no way to peers") {
			t.Errorf("a magnet link through an HTTP proxy: code %d, %s", code, tail(log))
		}
		b.check()
	})
}
