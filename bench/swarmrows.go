//go:build linux

package main

import (
	"fmt"
	"strings"
)

// swarmRows are the named sets of cases, as lines of flags. Flags of the command line come
// after those of a line, and so replace them.
var swarmRows = []struct{ name, lines string }{
	{"default", `
		-origin spate,libtorrent -getters spate=8
		-origin spate,libtorrent -getters mixed=8
		-origin spate,libtorrent -getters libtorrent=8
		-origin spate,libtorrent -getters transmission=8`},
	{"own", `
		-origin spate,libtorrent -getters spate=2
		-origin spate,libtorrent -getters spate=3
		-origin spate,libtorrent -getters spate=4
		-origin spate,libtorrent -getters spate=8
		-origin spate,libtorrent -getters spate=16
		-origin spate,libtorrent -getters spate=32 -origin-link 5/100 -links 10/50 -size 16
		-origin spate,seed,libtorrent -getters spate=64 -origin-link 5/100 -links 10/50 -size 16`},
	{"libtorrent", `
		-origin spate,libtorrent,libtorrent-super -getters libtorrent=4
		-origin spate,libtorrent,libtorrent-super -getters libtorrent=8
		-origin spate,libtorrent,libtorrent-super -getters libtorrent=16
		-origin spate,libtorrent,libtorrent-super -getters libtorrent=32 -origin-link 5/100 -links 10/50 -size 16
		-origin spate,libtorrent,libtorrent-super -getters libtorrent-tcp=8`},
	{"transmission", `
		-origin spate,libtorrent,libtorrent-super,transmission -getters transmission=4
		-origin spate,libtorrent,libtorrent-super,transmission -getters transmission=8
		-origin spate,libtorrent,libtorrent-super,transmission -getters transmission=16`},
	{"mixed", `
		-origin spate,libtorrent,libtorrent-super,transmission -getters mixed=4
		-origin spate,libtorrent,libtorrent-super,transmission -getters mixed=8
		-origin spate,libtorrent,libtorrent-super,transmission -getters mixed=16`},
	{"others", `
		-origin spate,libtorrent -getters aria2=8
		-origin spate,libtorrent -getters rtorrent=8
		-origin spate,libtorrent -getters qbittorrent=8
		-origin spate,libtorrent -getters webtorrent=8
		-origin spate,libtorrent -getters spate=2,qbittorrent=2,rtorrent=2,webtorrent=2`},
	{"web-seed", `
		-getters libtorrent=4 -web-seed on
		-getters libtorrent=4 -web-seed off
		-getters libtorrent=8 -web-seed on
		-getters libtorrent=8 -web-seed off
		-getters libtorrent=16 -web-seed on
		-getters libtorrent=16 -web-seed off
		-getters transmission=4 -web-seed on
		-getters transmission=4 -web-seed off
		-getters transmission=8 -web-seed on
		-getters transmission=8 -web-seed off
		-getters transmission=16 -web-seed on
		-getters transmission=16 -web-seed off
		-getters mixed=4 -web-seed on
		-getters mixed=4 -web-seed off
		-getters mixed=8 -web-seed on
		-getters mixed=8 -web-seed off
		-getters mixed=16 -web-seed on
		-getters mixed=16 -web-seed off
		-getters mixed=8 -format hybrid`},
	{"browsers", `
		-getters spate=8
		-getters spate=8,curl=1
		-getters spate=8,curl=4
		-getters spate=8,curl=20`},
	{"pages", `
		-origin-link 2/50 -links 8/20 -size 4 -getters browser=10
		-origin-link 2/50 -links 8/20 -size 4 -getters curl=10
		-origin-link 10/50 -links 20/50 -size 16 -getters browser=10
		-origin-link 10/50 -links 20/50 -size 16 -getters browser=10,spate=3,libtorrent=2
		-origin-link 10/50 -links 20/50 -size 16 -getters curl=15`},
	{"useless", `
		-getters spate=4 -size 16
		-getters spate=4 -size 16 -useless idle=500
		-getters spate=4 -size 16 -useless silent=500
		-getters spate=4 -size 16 -useless deaf=100
		-getters spate=4 -size 16 -useless slow=100
		-getters spate=4 -size 16 -useless liar=100
		-getters spate=4 -size 16 -useless noisy=100`},
	{"links", `
		-origin spate,libtorrent -getters mixed=8 -links 5/50,50/500
		-origin spate,libtorrent -getters mixed=8 -every 3s
		-origin spate,libtorrent -getters mixed=8 -every 3s -leave
		-origin spate,libtorrent -getters mixed=8 -riders 2
		-origin spate,libtorrent -getters mixed=8 -churn 2
		-origin spate,libtorrent -getters mixed=8 -family 6
		-origin spate,libtorrent -getters mixed=8 -mtu 1280
		-origin spate,libtorrent -getters mixed=8 -latency 60ms`},
}

// rowNames returns the names of the sets.
func rowNames() []string {
	var names []string
	for _, r := range swarmRows {
		names = append(names, r.name)
	}
	return names
}

// rowsOf returns the lines of the set with that name, or of all sets without the default one,
// whose cases the others contain.
func rowsOf(name string) ([]string, error) {
	var lines []string
	for _, r := range swarmRows {
		if r.name == name || name == "all" && r.name != "default" {
			lines = append(lines, strings.Split(strings.TrimSpace(r.lines), "\n")...)
		}
	}
	if lines == nil {
		return nil, fmt.Errorf("unknown rows %q: want all or some of %s", name, strings.Join(rowNames(), ", "))
	}
	return lines, nil
}
