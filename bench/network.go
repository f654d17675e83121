//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is a host for the seed and one for each getter, joined by a bridge that
// carries the tracker's address. Nothing in it has a route off this machine.
type network struct {
	id    string
	hosts []string // namespaces: the seed's, then those of the getters
}

const getters = 4

// The network's addresses (RFC 2544 keeps these for benchmarks).
const (
	trackerHost = "198.18.77.254"
	seedHost    = "198.18.77.1"
)

func getterHost(i int) string { return fmt.Sprintf("198.18.77.%d", 11+i) }

// newNetwork makes it.
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
			return nil, fmt.Errorf("%w (root is needed for network namespaces)", err)
		}
	}
	return n, nil
}

func (n *network) remove() {
	for _, h := range n.hosts {
		exec.Command("ip", "netns", "del", h).Run()
	}
	exec.Command("ip", "link", "del", n.id).Run()
}

// in returns args as they are run on the i-th host.
func (n *network) in(i int, args []string) []string {
	return append([]string{"ip", "netns", "exec", n.hosts[i]}, args...)
}
