//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// The hosts of a swarm besides the getters, which are numbered from 1 on.
const (
	originHost  = 0
	uselessSide = 248 // the host of all useless peers, with an unlimited link
	trackerSide = 249 // the host of the tracker and the watcher, with an unlimited link
)

// peerPort is the port of all peers.
const peerPort = 6881

// queueTime is the length of the queue of each link, unless a measurement names another.
const queueTime = 100 * time.Millisecond

// swarmNet consists of a network namespace for each host and one for the bridge between
// them. Beside each host, a modem limits what the host sends and receives. The modem is a
// bridge of two ports, so that the host's own stack does not know of its queue.
type swarmNet struct {
	id     string
	family string
	mtu    int
	delay  time.Duration // of each packet in each modem
	queue  time.Duration // the length of the queue of each link
	hosts  []int
	pairs  []string // pairs of interfaces between which the delay helper forwards, A=B
	relay  *process
}

// newSwarmNet creates the hosts of a case. The caller calls remove, also after an error.
func newSwarmNet(c *swarmCase, getters int) (*swarmNet, error) {
	// A round trip passes two modems each way.
	n := &swarmNet{id: fmt.Sprintf("sw%d", os.Getpid()), family: c.family, mtu: c.mtu, delay: c.latency / 4, queue: c.queue}
	if n.queue == 0 {
		n.queue = queueTime
	}
	hub := n.name("hub")
	err := ip([][]string{
		{"netns", "add", hub},
		{"netns", "exec", hub, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"},
		n.bridge("br0"),
		{"-n", hub, "link", "set", "br0", "up"},
	})
	if err != nil {
		return n, err
	}
	for i := range getters + 1 {
		l := c.originLink
		if i != originHost {
			l = c.links.of(i - 1)
		}
		if err := n.add(i, &l); err != nil {
			return n, err
		}
	}
	if err := n.add(trackerSide, nil); err != nil {
		return n, err
	}
	if len(c.useless) > 0 {
		if err := n.addUseless(c.useless); err != nil {
			return n, err
		}
	}
	if len(n.pairs) > 0 {
		self, err := os.Executable()
		if err != nil {
			return n, err
		}
		n.relay, err = start(n.command(hub, append([]string{self, "delay", n.delay.String()}, n.pairs...)))
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// ip runs several commands of iproute2.
func ip(commands [][]string) error {
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// name returns the name of a namespace.
func (n *swarmNet) name(host string) string { return n.id + "-" + host }

// host returns the name of the namespace of a host.
func (n *swarmNet) host(i int) string { return n.name(strconv.Itoa(i)) }

// bridge returns the command that creates a bridge in the hub.
func (n *swarmNet) bridge(name string) []string {
	return []string{"-n", n.name("hub"), "link", "add", name, "mtu", strconv.Itoa(n.mtu), "type", "bridge", "mcast_snooping", "0"}
}

// veth returns the commands that create two connected interfaces in the hub.
func (n *swarmNet) veth(a, b string) [][]string {
	mtu, hub := strconv.Itoa(n.mtu), n.name("hub")
	return [][]string{
		{"-n", hub, "link", "add", a, "mtu", mtu, "type", "veth", "peer", "name", b, "mtu", mtu},
		{"-n", hub, "link", "set", a, "up"},
		{"-n", hub, "link", "set", b, "up"},
	}
}

// add adds a host. l is nil for an unlimited link.
//
//	host: eth0 - v | modem bridge | w - u | br0     without delay
//	host: eth0 - v | modem bridge | w - p, delay helper, q - u | br0
func (n *swarmNet) add(i int, l *link) error {
	ns, hub, mtu := n.host(i), n.name("hub"), strconv.Itoa(n.mtu)
	v, w, u, modem := fmt.Sprint("v", i), fmt.Sprint("w", i), fmt.Sprint("u", i), fmt.Sprint("m", i)
	n.hosts = append(n.hosts, i)
	steps := [][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "set", "lo", "up"},
		{"-n", ns, "link", "add", "eth0", "mtu", mtu, "type", "veth", "peer", "name", v, "mtu", mtu, "netns", hub},
	}
	port := "br0"
	if l != nil {
		port = modem
		steps = append(steps, n.bridge(modem), []string{"-n", hub, "link", "set", modem, "up"})
		if n.delay > 0 {
			p, q := fmt.Sprint("p", i), fmt.Sprint("q", i)
			steps = append(steps, n.veth(w, p)...)
			steps = append(steps, n.veth(q, u)...)
			n.pairs = append(n.pairs, p+"="+q)
		} else {
			steps = append(steps, n.veth(w, u)...)
		}
		steps = append(steps,
			[]string{"-n", hub, "link", "set", w, "master", modem},
			[]string{"-n", hub, "link", "set", u, "master", "br0"},
			// Bursts of the host are almost as short as single packets.
			[]string{"-n", ns, "link", "set", "eth0", "gso_max_segs", "4"},
		)
	}
	steps = append(steps,
		[]string{"-n", hub, "link", "set", v, "master", port, "up"},
		[]string{"netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.eth0.accept_dad=0"},
	)
	if strings.Contains(n.family, "4") {
		steps = append(steps, []string{"-n", ns, "addr", "add", n.ip4(i) + "/15", "dev", "eth0"})
	}
	if strings.Contains(n.family, "6") {
		steps = append(steps, []string{"-n", ns, "addr", "add", n.ip6(i) + "/32", "dev", "eth0", "nodad"})
	}
	if err := ip(append(steps, []string{"-n", ns, "link", "set", "eth0", "up"})); err != nil || l == nil {
		return err
	}
	if err := n.shape(w, l.up); err != nil {
		return err
	}
	return n.shape(v, l.down)
}

// addUseless adds the host of the useless peers, with an address for each.
func (n *swarmNet) addUseless(peers kinds) error {
	if err := n.add(uselessSide, nil); err != nil {
		return err
	}
	var batch strings.Builder
	for i := range peers.total() {
		fmt.Fprintf(&batch, "addr add %s/15 dev eth0\n", uselessAddr(i))
	}
	cmd := exec.Command("ip", "-n", n.host(uselessSide), "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip addr add: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// shape limits what an interface of the hub sends to rate Mbit/s.
func (n *swarmNet) shape(dev string, rate float64) error {
	burst := max(32, int(rate*1000*0.002/8)) // KiB: 32, or 2 ms
	args := []string{"-n", n.name("hub"), "qdisc", "add", "dev", dev, "root", "tbf", "rate", fmt.Sprintf("%gmbit", rate),
		"burst", fmt.Sprintf("%dkb", burst), "latency", fmt.Sprintf("%dms", n.queue.Milliseconds())}
	if out, err := exec.Command("tc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("tc %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ip4 and ip6 return addresses in the ranges for benchmarks and for documentation (RFC 2544,
// RFC 3849). Each host has an IPv4 network of its own, because programs limit the peers of one.
func (n *swarmNet) ip4(i int) string { return fmt.Sprintf("198.18.%d.1", 1+i) }
func (n *swarmNet) ip6(i int) string { return fmt.Sprintf("2001:db8:%x::1", 1+i) }

// addr returns the address of a host with a port, IPv4 if the host has one.
func (n *swarmNet) addr(i, port int) string {
	if strings.Contains(n.family, "4") {
		return fmt.Sprintf("%s:%d", n.ip4(i), port)
	}
	return fmt.Sprintf("[%s]:%d", n.ip6(i), port)
}

// listen returns all addresses of a host with the peers' port.
func (n *swarmNet) listen(i int) string {
	var all []string
	if strings.Contains(n.family, "4") {
		all = append(all, fmt.Sprintf("%s:%d", n.ip4(i), peerPort))
	}
	if strings.Contains(n.family, "6") {
		all = append(all, fmt.Sprintf("[%s]:%d", n.ip6(i), peerPort))
	}
	return strings.Join(all, ",")
}

// url returns the URL of the web server of a host.
func (n *swarmNet) url(i int) string { return "http://" + n.addr(i, 6969) }

// command returns the command line that runs args in a namespace.
func (n *swarmNet) command(ns string, args []string) []string {
	return append([]string{"ip", "netns", "exec", ns}, args...)
}

// fetch returns the body of a URL as the tracker's host receives it.
func (n *swarmNet) fetch(url string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("ip", "netns", "exec", n.host(trackerSide), self, "fetch", url).Output()
	if ended, ok := err.(*exec.ExitError); ok {
		err = fmt.Errorf("%w: %s", err, ended.Stderr)
	}
	return out, err
}

// sent returns the number of bytes that the origin's link has carried, with headers.
func (n *swarmNet) sent() (float64, error) { return n.carried(fmt.Sprint("w", originHost)) }

// received returns the number of bytes that a host's link has carried to the host, with headers.
func (n *swarmNet) received(host int) (float64, error) { return n.carried(fmt.Sprint("v", host)) }

// carried returns the number of bytes that a limited interface of the hub has sent.
func (n *swarmNet) carried(dev string) (float64, error) {
	out, err := exec.Command("tc", "-n", n.name("hub"), "-s", "-j", "qdisc", "show", "dev", dev).Output()
	if err != nil {
		return 0, err
	}
	var qdiscs []struct{ Bytes float64 }
	if err := json.Unmarshal(out, &qdiscs); err != nil || len(qdiscs) == 0 {
		return 0, fmt.Errorf("tc does not tell what %s has carried: %w", dev, err)
	}
	return qdiscs[0].Bytes, nil
}

// remove deletes all namespaces, which deletes their interfaces too.
func (n *swarmNet) remove() {
	if n.relay != nil {
		n.relay.stop()
	}
	for _, i := range n.hosts {
		exec.Command("ip", "netns", "del", n.host(i)).Run()
	}
	exec.Command("ip", "netns", "del", n.name("hub")).Run()
}

// raiseNeighbours raises the limits of the kernel's tables of neighbours, which all namespaces
// share: swarms of more than 30 hosts exceed the default of 1,024 entries, and the rest of the
// hosts would not reach each other. It returns a function that restores the values.
func raiseNeighbours() (restore func()) {
	old := map[string]string{}
	for _, family := range []string{"ipv4", "ipv6"} {
		for i, want := range []int{8192, 32768, 65536} {
			path := fmt.Sprintf("/proc/sys/net/%s/neigh/default/gc_thresh%d", family, i+1)
			b, _ := os.ReadFile(path)
			value := strings.TrimSpace(string(b))
			if n, err := strconv.Atoi(value); err == nil && n < want && os.WriteFile(path, []byte(strconv.Itoa(want)), 0) == nil {
				old[path] = value
			}
		}
	}
	return func() {
		for path, value := range old {
			os.WriteFile(path, []byte(value), 0)
		}
	}
}
