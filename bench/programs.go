//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program is a BitTorrent program to measure. Its functions return command lines. A nil
// function means that the program cannot do this.
type program struct {
	name    string
	version string // "" if the program is not installed
	// seed seeds the data in dir until it is stopped. get downloads into dir and exits when
	// the download is complete.
	seed, get func(j job) []string
	create    func(data, out, announce string, hybrid bool) []string // may return nil
	many      func(j job) []string                                   // seeds all torrents of a directory
	crowd     func(j job) []string                                   // like seed, with a limit of more than crowdSize connections
	limits    bool                                                   // others may not be able to connect by TCP without encryption
}

// job contains the arguments of a program.
type job struct {
	torrent string // the torrent, or for many the directory of torrents
	dir     string // directory of the data
	host    string // local address
	port    int
	state   string // directory for the state of the program
}

//go:embed libtorrent.py
var libtorrentScript string

// installed returns the installed programs, spate first.
func installed(spate string) []*program {
	all := []*program{spateProgram(spate), libtorrentProgram(), aria2Program(), makerProgram("mktorrent"), makerProgram("transmission-create")}
	var found []*program
	for _, p := range all {
		if p.version != "" {
			found = append(found, p)
		}
	}
	return found
}

// say returns the first line that a command prints, or "" if it cannot run.
func say(args ...string) string {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil && len(out) == 0 {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// spateProgram returns spate with the binary bin.
func spateProgram(bin string) *program {
	peer := func(verb string, j job, more ...string) []string {
		return append([]string{bin, verb, j.torrent, "--bind", j.host, "--peer-port", fmt.Sprint(j.port), "--state", j.state, "-q"}, more...)
	}
	seed := func(j job) []string { return peer("seed", j, "--data", j.dir) }
	self, _ := os.Executable()
	return &program{
		name: "spate", version: say(bin, "version"), seed: seed, many: seed,
		get: func(j job) []string { return peer("get", j, "-o", j.dir) },
		crowd: func(j job) []string {
			return []string{self, "serve", j.torrent, j.dir, fmt.Sprintf("%s:%d", j.host, j.port)}
		},
		create: func(data, out, announce string, hybrid bool) []string {
			format := map[bool]string{false: "v1", true: "hybrid"}[hybrid]
			return []string{bin, "create", data, "--format", format, "--piece-length", "1MiB", "-o", out, "-a", announce, "--force", "-q"}
		},
	}
}

// findLibtorrent returns the Python program that has libtorrent's binding, and the version of
// libtorrent, or "". Debian installs it for /usr/bin/python3, which may not be the first in PATH.
func findLibtorrent() (python, version string) {
	for _, python = range []string{"python3", "/usr/bin/python3"} {
		version = say(python, "-c", "import libtorrent; print(libtorrent.__version__)")
		if version != "" && version[0] >= '0' && version[0] <= '9' {
			return python, version
		}
	}
	return "", ""
}

// libtorrentProgram returns libtorrent, run by libtorrent.py.
func libtorrentProgram() *program {
	python, version := findLibtorrent()
	lt := func(role string, args ...string) []string {
		return append([]string{python, "-c", libtorrentScript, role}, args...)
	}
	peer := func(role string, j job) []string {
		return lt(role, j.torrent, j.dir, fmt.Sprintf("%s:%d", j.host, j.port))
	}
	return &program{
		name: "libtorrent", version: version,
		seed:  func(j job) []string { return peer("seed", j) },
		get:   func(j job) []string { return peer("get", j) },
		many:  func(j job) []string { return peer("many", j) },
		crowd: func(j job) []string { return peer("seed", j) },
		create: func(data, out, announce string, hybrid bool) []string {
			return lt("create", data, out, announce, map[bool]string{false: "v1", true: "hybrid"}[hybrid])
		},
	}
}

// aria2Program returns aria2.
func aria2Program() *program {
	peer := func(j job, more ...string) []string {
		return append([]string{
			"aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
			fmt.Sprint("--listen-port=", j.port), "--interface=" + j.host, "--bt-external-ip=" + j.host, "--disable-ipv6=true",
			"--file-allocation=none", "--bt-max-peers=0", "--bt-request-peer-speed-limit=2000M", "--quiet=true", "--dir=" + j.dir, j.torrent,
		}, more...)
	}
	return &program{
		name: "aria2", version: say("aria2c", "--version"),
		seed: func(j job) []string { return peer(j, "--seed-ratio=0.0", "--bt-seed-unverified=true") },
		get:  func(j job) []string { return peer(j, "--seed-time=0", "--allow-overwrite=true") },
	}
}

// makerProgram returns the program with that name, which can only create torrents.
func makerProgram(name string) *program {
	p := &program{name: name}
	if _, err := exec.LookPath(name); err != nil {
		return p
	}
	switch name {
	case "mktorrent":
		p.version = "installed (" + say("dpkg-query", "-W", "-f", "${Version}", name) + ")"
		p.create = func(data, out, announce string, hybrid bool) []string {
			if hybrid {
				return nil
			}
			return []string{name, "-l", "20", "-a", announce, "-o", out, data}
		}
	case "transmission-create":
		p.version = say(name, "--version")
		p.create = func(data, out, announce string, hybrid bool) []string {
			if hybrid {
				return nil
			}
			return []string{name, "-s", "1024", "-t", announce, "-o", out, filepath.Clean(data)}
		}
	}
	return p
}
