package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// countPackets counts the packets that a host sends to others from now on and that match a rule of
// nftables. It returns a function that returns their number.
func countPackets(t *testing.T, h *host, rule string) func() int {
	t.Helper()
	return countOutput(t, h, `oifname != "lo" `+rule)
}

// countOutput counts the packets that a host sends from now on, also to itself, and that match a rule of nftables.
func countOutput(t *testing.T, h *host, rule string) func() int {
	t.Helper()
	need(t, "nft")
	table := fmt.Sprint("seen", netCount.Add(1))
	nft := func(stdin string, args ...string) string {
		cmd := exec.Command("ip", append([]string{"netns", "exec", h.ns, "nft"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
		return string(out)
	}
	nft(`table inet `+table+` {
		chain sent {
			type filter hook output priority 0;
			`+rule+` counter
		}
	}`, "-f", "-")
	counter := regexp.MustCompile(`counter packets (\d+)`)
	return func() int {
		t.Helper()
		found := counter.FindStringSubmatch(nft("", "list", "chain", "inet", table, "sent"))
		if found == nil {
			t.Fatal("nft lists no counter")
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestLoopbackSendsNothing checks that a publisher and a getter that are bound to loopback send no
// packet to another host, although the torrent and the magnet link name trackers, web seeds, peers and
// nodes of the DHT elsewhere, and the DHT, local discovery and port mapping are on.
func TestLoopbackSendsNothing(t *testing.T) {
	t.Parallel()
	on := newHomes(t, "n:open:2")
	h := on("n1").in(t)
	sent := countPackets(t, h, "meta l4proto { tcp, udp, icmp, igmp }")
	file := noise(t, filepath.Join(t.TempDir(), "a.bin"), 100_000)
	torrent := filepath.Join(t.TempDir(), "a.torrent")
	h.run("create", file, "-o", torrent, "-a", "udp://44.1.0.10:6969/announce", "-a", "http://tracker.example.org/announce",
		"--web-seed", "http://44.1.0.10/a.bin", "--node", "44.1.0.11:6881", "--node", "node.example.org:6881")
	link := lastLine(h.run("magnet", torrent)) + "&x.pe=44.1.0.10:6881"
	all := []string{"--no-dht=false", "--no-lsd=false", "--no-portmap=false"}
	h.serve(append([]string{"publish", file, "--bind", "127.0.0.1", "-a", "udp://44.1.0.10:6969/announce"}, all...)...)
	for _, source := range []string{torrent, link} {
		h.spate(append([]string{"get", source, "-o", t.TempDir(), "--peer-port", "0", "--timeout", "3s", "--peer", "44.1.0.10:6881", "--bind", "127.0.0.1"}, all...)...).wait()
	}
	if n := sent(); n != 0 {
		t.Errorf("the host has sent %d packets", n)
	}
	h.spate(append([]string{"get", torrent, "-o", t.TempDir(), "--peer-port", "0", "--timeout", "1s"}, all...)...).wait()
	if sent() == 0 {
		t.Error("the counter counts nothing")
	}
}

// TestDialBackIsOnePacket checks that a peer that asks a hundred times to be connected to gets one SYN
// and one UDP packet, although its host drops them, so that the system of the other side would repeat
// the SYN.
func TestDialBackIsOnePacket(t *testing.T) {
	t.Parallel()
	on := newHomes(t, "n:open:2")
	file := noise(t, filepath.Join(t.TempDir(), "a.bin"), 100_000)
	torrent := filepath.Join(t.TempDir(), "a.torrent")
	seed, asker := on("n1").in(t), on("n2").in(t)
	seed.run("create", file, "-o", torrent)
	_, r := seed.serve("seed", torrent, "--data", filepath.Dir(file))
	if out, err := exec.Command("ip", "netns", "exec", asker.ns, "nft", `add table inet wall; add chain inet wall in { type filter hook input priority 0; };
		add rule inet wall in tcp dport 40000-40999 drop; add rule inet wall in udp dport 40000-40999 drop`).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	syn := countPackets(t, seed, "tcp flags & (syn | ack) == syn")
	udp := countPackets(t, seed, "udp dport 40000-40999")
	script, err := filepath.Abs("testdata/askdialback.py")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(r.PeerAddr)
	if err != nil {
		t.Fatal(err)
	}
	out := asker.start("/usr/bin/python3", script, "44.1.1.2", port, r.InfoHashV1, "100").ok().out.String()
	if one, others := strings.Count("\n"+out, "\n4"), strings.Count("\n"+out, "\n6"); one != 1 || others != 99 {
		t.Errorf("the answers are %q", out)
	}
	if n, m := syn(), udp(); n != 1 || m != 1 {
		t.Errorf("the peer has sent %d SYNs and %d UDP packets", n, m)
	}
}
