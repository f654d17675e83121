//go:build linux

package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// installs are the programs that a swarm can consist of on this machine.
type installs struct {
	spate, python string
	webtorrent    string // the directory that contains node_modules
	playwright    string // the same for playwright-core
	versions      map[string]string
}

// The programs of kinds that are not named as their commands are.
var programNames = map[string]string{
	"seed": "spate", "transmission": "transmission-cli", "aria2": "aria2c", "qbittorrent": "qbittorrent-nox",
	"libtorrent-tcp": "libtorrent", "libtorrent-super": "libtorrent",
}

// programOf returns the name of the program of a kind.
func programOf(kind string) string {
	if name := programNames[kind]; name != "" {
		return name
	}
	return kind
}

//go:embed libtorrentpeer.py
var libtorrentPeer string

//go:embed webtorrentpeer.mjs
var webtorrentPeer string

//go:embed browserpeer.mjs
var browserPeer string

// findInstalls finds the programs.
func findInstalls(o *swarmOptions) *installs {
	in := &installs{spate: o.spate, webtorrent: o.webtorrent, playwright: o.playwright}
	in.versions = map[string]string{"spate": say(o.spate, "version")}
	in.python, in.versions["libtorrent"] = findLibtorrent()
	for _, name := range []string{"transmission-cli", "transmission-daemon", "aria2c", "qbittorrent-nox", "curl"} {
		in.versions[name] = say(name, "--version")
	}
	in.versions["rtorrent"] = say("rtorrent", "-h")
	in.versions["webtorrent"] = withNode(in.webtorrent, "webtorrent")
	if v := withNode(in.playwright, "playwright-core"); v != "" {
		out, _ := exec.Command("chromium", "--version").Output() // its wrapper may also print errors
		in.versions["browser"] = strings.TrimSpace(string(out))
	}
	return in
}

// withNode returns the version of a package that npm has installed in dir, with that of Node, or
// "" if one is missing.
func withNode(dir, name string) string {
	var about struct{ Version string }
	b, _ := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
	json.Unmarshal(b, &about)
	node := say("node", "--version")
	if dir == "" || node == "" || about.Version == "" {
		return ""
	}
	return about.Version + " with Node " + node
}

// missing returns an error if a case needs a program that is not installed.
func (in *installs) missing(origin string, order []string) error {
	for _, kind := range append([]string{origin}, order...) {
		switch name := programOf(kind); {
		case in.versions[name] != "":
		case name == "webtorrent":
			return fmt.Errorf("webtorrent is missing: run npm install --ignore-scripts webtorrent@2.8.5 uint8-util@2.2.5 in a directory, and name it with -webtorrent")
		case name == "browser":
			return fmt.Errorf("the browser Chromium or playwright-core is missing: run npm ci --ignore-scripts in a copy of e2e/web, and name it with -playwright")
		case name == "libtorrent":
			return fmt.Errorf("libtorrent's Python binding is missing (Debian: python3-libtorrent)")
		default:
			return fmt.Errorf("%s is not installed", name)
		}
	}
	return nil
}

// installPlaywright installs playwright-core in a new directory, as the tests of e2e do.
func installPlaywright(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join("e2e", "web", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return dir, nil
}

// describe prints the versions of the programs.
func (in *installs) describe() {
	for _, name := range []string{"spate", "libtorrent", "transmission-cli", "transmission-daemon", "aria2c", "rtorrent", "qbittorrent-nox", "webtorrent", "browser", "curl"} {
		if v := in.versions[name]; v != "" {
			fmt.Printf("- %s: %s\n", name, v)
		} else {
			fmt.Printf("- %s: not found\n", name)
		}
	}
	fmt.Println()
}

// peerJob is what a peer of a swarm is to do.
type peerJob struct {
	source  string // of spate get: a torrent or the URL of a release
	torrent string
	dir     string // of the data
	state   string // directory for the state of the program, which exists
	listen  string // addresses with ports
	seed    bool   // serve the data in dir
	super   bool   // use super-seeding
	tcp     bool   // without uTP
	rider   bool   // send almost nothing
	up      int    // limit of the upload in kB/s; 0: none
	leave   bool   // leave when complete
	router  bool   // ask the router to map ports
	dht     bool   // find peers by the DHT
	flags   []string
	url     string // of the file, for curl
	page    string // of the release, for a browser
	name    string // of the file
}

// limit returns the limit of the upload in kB/s; 0: none.
func (j *peerJob) limit() int {
	if j.rider {
		return 1
	}
	return j.up
}

// staged reports whether programs of the kind take long to start. They print READY, and wait
// for a line on standard input.
func staged(kind string) bool {
	return programOf(kind) == "libtorrent" || kind == "webtorrent" || kind == "browser"
}

// peer returns the command line of a peer. Each kind says in its own way that the download is
// complete: spate with an event, staged programs with the line DONE, and curl by its end. All
// others run a hook that creates the file "done" in the state directory.
func (in *installs) peer(kind string, j peerJob) ([]string, error) {
	switch programOf(kind) {
	case "spate":
		return in.spatePeer(j), nil
	case "libtorrent":
		return []string{in.python, "-c", libtorrentPeer, asJSON(map[string]any{
			"listen": j.listen, "torrent": j.torrent, "dir": j.dir, "seed": j.seed, "super": j.super, "tcp": j.tcp, "up": j.limit() * 1000, "leave": j.leave,
			"router": j.router, "dht": j.dht,
		})}, nil
	case "webtorrent":
		return []string{"node", "--input-type=module", "-e", webtorrentPeer, asJSON(map[string]any{
			"modules": filepath.Join(in.webtorrent, "node_modules"), "port": peerPort, "torrent": j.torrent, "dir": j.dir, "rider": j.rider,
		})}, nil
	case "browser":
		return []string{"env", "TMPDIR=" + j.state, "HOME=" + j.state, "node", "--input-type=module", "-e", browserPeer, asJSON(map[string]any{
			"modules": filepath.Join(in.playwright, "node_modules"), "chromium": "/usr/bin/chromium", "page": j.page, "file": filepath.Join(j.dir, j.name),
		})}, nil
	case "transmission-cli":
		return transmissionPeer(j)
	case "transmission-daemon":
		return transmissionDaemonPeer(j)
	case "aria2c":
		return aria2Peer(j)
	case "rtorrent":
		return rtorrentPeer(j)
	case "qbittorrent-nox":
		return qbittorrentPeer(j)
	case "curl":
		return []string{"curl", "-sS", "-f", "--retry", "1000", "--retry-all-errors", "--retry-max-time", "3600", "-C", "-",
			"-o", filepath.Join(j.dir, j.name), j.url}, nil
	}
	return nil, fmt.Errorf("unknown kind %q", kind)
}

// asJSON returns v as JSON.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // v consists of strings, numbers and booleans
	}
	return string(b)
}

// spatePeer returns spate seed or spate get.
func (in *installs) spatePeer(j peerJob) []string {
	args := []string{in.spate, "get", j.source, "-o", j.dir, "--seed", "forever"}
	if j.leave {
		args[len(args)-1] = "none"
	}
	if j.seed {
		args = []string{in.spate, "seed", j.torrent, "--data", j.dir}
	}
	args = append(args, "--state", j.state, "--json", "--peer-port", fmt.Sprint(peerPort))
	if up := j.limit(); up > 0 {
		args = append(args, "--up", fmt.Sprint(up, "k"))
	}
	if j.router {
		args = append(args, "--no-portmap=false")
	}
	if j.dht {
		args = append(args, "--no-dht=false")
	}
	return append(args, j.flags...)
}

// hook writes a program for the state directory that creates the file "done" there.
func hook(state string) (string, error) {
	path := filepath.Join(state, "hook")
	return path, os.WriteFile(path, []byte("#!/bin/sh\n: >"+state+"/done\n"), 0o755)
}

// write writes lines into a file of the state directory and returns its path.
func write(state, name string, lines ...string) (string, error) {
	path := filepath.Join(state, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// transmissionPeer returns transmission-cli. It finds data that exists in its directory.
func transmissionPeer(j peerJob) ([]string, error) {
	done, err := hook(j.state)
	if err != nil {
		return nil, err
	}
	_, err = write(j.state, "settings.json", asJSON(map[string]any{
		"dht-enabled": false, "lpd-enabled": false, "port-forwarding-enabled": false, "peer-port": peerPort, "preallocation": 0,
		"utp-enabled": true, "speed-limit-up": 1, "speed-limit-up-enabled": j.rider,
	}))
	args := []string{"transmission-cli", "-g", j.state, "-w", j.dir, "-M", "-p", fmt.Sprint(peerPort), "-f", done, j.torrent}
	if j.seed {
		args = append(args, "-v")
	}
	return args, err
}

// transmissionDaemonPeer returns transmission-daemon with transmission-remote, which adds the
// torrent or the magnet link. It finds data that exists in its directory.
func transmissionDaemonPeer(j peerJob) ([]string, error) {
	done, err := hook(j.state)
	if err != nil {
		return nil, err
	}
	_, err = write(j.state, "settings.json", asJSON(map[string]any{
		"dht-enabled": j.dht, "lpd-enabled": false, "port-forwarding-enabled": j.router, "peer-port": peerPort, "preallocation": 0,
		"script-torrent-done-enabled": true, "script-torrent-done-filename": done, "download-dir": j.dir,
		"speed-limit-up": j.limit(), "speed-limit-up-enabled": j.limit() > 0,
	}))
	const script = `transmission-daemon -f -g "$1" & until transmission-remote -a "$2"; do sleep 0.1; done; wait`
	return []string{"sh", "-c", script, "sh", j.state, j.torrent}, err
}

// aria2Peer returns aria2c.
func aria2Peer(j peerJob) ([]string, error) {
	done, err := hook(j.state)
	args := []string{
		"aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--file-allocation=none",
		fmt.Sprint("--listen-port=", peerPort), "--summary-interval=0", "--console-log-level=notice", "--allow-overwrite=true",
		"--on-bt-download-complete=" + done, "--seed-ratio=0.0", "--dir=" + j.dir, j.torrent,
	}
	if j.leave {
		args = append(args, "--seed-time=0")
	}
	if j.rider {
		args = append(args, "--max-upload-limit=1K")
	}
	return args, err
}

// rtorrentPeer returns rtorrent.
func rtorrentPeer(j peerJob) ([]string, error) {
	done, err := hook(j.state)
	if err != nil {
		return nil, err
	}
	lines := []string{
		"directory.default.set = " + j.dir, "session.path.set = " + j.state, fmt.Sprintf("network.port_range.set = %d-%d", peerPort, peerPort),
		"dht.mode.set = disable", "trackers.use_udp.set = yes", "pieces.hash.on_completion.set = no", "system.daemon.set = true",
		fmt.Sprintf(`method.set_key = event.download.finished, done, "execute2={%s}"`, done),
		fmt.Sprintf(`schedule2 = load, 0, 0, ((load.start, "%s"))`, j.torrent),
	}
	if j.rider {
		lines = append(lines, "throttle.global_up.max_rate.set_kb = 1")
	}
	rc, err := write(j.state, "rc", lines...)
	return []string{"rtorrent", "-n", "-o", "import=" + rc}, err
}

// qbittorrentPeer returns qbittorrent-nox.
func qbittorrentPeer(j peerJob) ([]string, error) {
	done, err := hook(j.state)
	if err != nil {
		return nil, err
	}
	lines := []string{
		"[LegalNotice]", "Accepted=true",
		"[AutoRun]", "enabled=true", "program=" + done,
		"[Network]", fmt.Sprint("PortForwardingEnabled=", j.router),
		"[BitTorrent]", fmt.Sprint(`Session\Port=`, peerPort), fmt.Sprint(`Session\DHTEnabled=`, j.dht), `Session\LSDEnabled=false`, `Session\Preallocation=false`,
	}
	if up := j.limit(); up > 0 {
		lines = append(lines, fmt.Sprint(`Session\GlobalUPSpeedLimit=`, up))
	}
	_, err = write(j.state, "qBittorrent/config/qBittorrent.conf", lines...)
	args := []string{"qbittorrent-nox", "--profile=" + j.state, "--save-path=" + j.dir, "--skip-dialog=true"}
	if j.seed {
		args = append(args, "--skip-hash-check")
	}
	return append(args, j.torrent), err
}

// lookFor returns an error if a program of the system that a swarm needs is missing.
func lookFor(names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("a swarm needs the program %s: %w", name, err)
		}
	}
	return nil
}
