//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network consists of network namespaces for the seeds and for each getter, and a bridge
// with the tracker's address that connects them. It has no route to other machines.
type network struct {
	id    string   // name of the bridge and prefix of the namespaces
	hosts []string // namespaces: that of the seeds, then those of the getters
}

const getters = 4 // number of getters

// The addresses in the network. They are in the range for benchmarks (RFC 2544).
const (
	trackerHost = "198.18.77.254"
	seedHost    = "198.18.77.1"
)

// getterHost returns the address of getter i.
func getterHost(i int) string { return fmt.Sprintf("198.18.77.%d", 11+i) }

// newNetwork creates the namespaces and the bridge.
func newNetwork() (*network, error) {
	n := &network{id: fmt.Sprintf("sb%d", os.Getpid())}
	do := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	steps := [][]string{
		{"link", "add", n.id, "type", "bridge"},
		{"addr", "add", trackerHost + "/24", "dev", n.id},
		{"link", "set", n.id, "up"},
	}
	for i := range 1 + getters {
		ns, here, addr := fmt.Sprintf("%s-%d", n.id, i), fmt.Sprintf("%sv%d", n.id, i), seedHost
		if i > 0 {
			addr = getterHost(i - 1)
		}
		n.hosts = append(n.hosts, ns)
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", ns},
			[]string{"link", "set", here, "master", n.id, "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"},
			[]string{"-n", ns, "addr", "add", addr + "/24", "dev", "eth0"},
			[]string{"-n", ns, "link", "set", "eth0", "up"},
			[]string{"-n", ns, "route", "add", "default", "via", trackerHost},
		)
	}
	for _, s := range steps {
		if err := do(s...); err != nil {
			n.remove()
			return nil, fmt.Errorf("%w (creating network namespaces needs root)", err)
		}
	}
	return n, nil
}

// remove deletes the namespaces and the bridge.
func (n *network) remove() {
	for _, h := range n.hosts {
		exec.Command("ip", "netns", "del", h).Run()
	}
	exec.Command("ip", "link", "del", n.id).Run()
}

// cutRuns sets whether host i cuts the runs of packets that it sends (UDP_SEGMENT, TSO) in
// software, before they leave it.
func (n *network) cutRuns(i int, cut bool) error {
	segments := map[bool]string{true: "1", false: "65535"}[cut]
	out, err := exec.Command("ip", "-n", n.hosts[i], "link", "set", "eth0", "gso_max_segs", segments).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip link set gso_max_segs: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// in returns the command line that runs args on host i.
func (n *network) in(i int, args []string) []string {
	return append([]string{"ip", "netns", "exec", n.hosts[i]}, args...)
}
