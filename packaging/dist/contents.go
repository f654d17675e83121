package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"spate/internal/desktop"
	"spate/internal/ui"
)

// What packages say about the program.
const (
	summary     = "publish and download files over BitTorrent"
	description = `spate makes torrents, tracks, seeds and downloads them, and serves release
pages. It also runs as the BitTorrent tools of 2005, such as btmakemetafile,
bttrack and btdownloadheadless.`
	license = "Apache-2.0"
)

// debArch returns Debian's name of the architecture of a target.
func (t target) debArch() string {
	if t.arch == "arm" {
		return "armhf"
	}
	return t.arch
}

// services maps the files of the services to the paths at which the packages of a system install
// them.
func services(format string) map[string]string {
	files := map[string]string{
		"packaging/service/spate.toml": "etc/spate/spate.toml",
		"docs/spate.toml":              "usr/share/doc/spate/examples/spate.toml",
	}
	if format == "apk" { // for OpenRC
		files["packaging/apk/spate.initd"] = "etc/init.d/spate"
		files["packaging/apk/spate.confd"] = "etc/conf.d/spate"
		return files
	}
	for _, unit := range []string{"spate.service", "spate.socket", "spate-tracker.service", "spate-tracker.socket"} {
		files["packaging/systemd/"+unit] = "usr/lib/systemd/system/" + unit
	}
	files["packaging/sysusers/spate.conf"] = "usr/lib/sysusers.d/spate.conf"
	return files
}

// installed returns the files that a package of a format installs: "deb", "rpm" or "apk".
func (d *dist) installed(format string, bin []byte, shared []file) ([]file, error) {
	out := append([]file{{path: "usr/bin/spate", data: bin, mode: 0o755}}, links("usr/bin")...)
	out = append(out, // for magnet links and .torrent files, by the graphical client
		file{path: "usr/share/applications/" + desktop.ID, data: []byte(desktop.Entry("spate")), mode: 0o644},
		file{path: "usr/share/icons/hicolor/scalable/apps/spate.svg", data: ui.Icon(), mode: 0o644})
	for _, f := range shared {
		var err error
		switch name, dir := path.Base(f.path), path.Dir(f.path); {
		case dir == "man1" || dir == "man5":
			f.path = "usr/share/man/" + f.path + ".gz"
			f.data, err = compress(f.data)
		case name == "spate.bash":
			f.path = "usr/share/bash-completion/completions/spate"
		case name == "_spate" && format == "deb":
			f.path = "usr/share/zsh/vendor-completions/_spate"
		case name == "_spate":
			f.path = "usr/share/zsh/site-functions/_spate"
		case name == "spate.fish":
			f.path = "usr/share/fish/vendor_completions.d/spate.fish"
		case name == "spate.ps1":
			continue
		case name == "LICENSE" && format == "deb":
			f.path = "usr/share/doc/spate/copyright"
			f.data = append([]byte("spate: Apache License 2.0, whose text follows.\n\n"), f.data...)
		case name == "LICENSE":
			f.path = "usr/share/licenses/spate/LICENSE"
		default:
			f.path = "usr/share/doc/spate/" + f.path
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for from, to := range services(format) {
		b, err := os.ReadFile(filepath.Join(d.top, from))
		if err != nil {
			return nil, fmt.Errorf("a file of the package: %w", err)
		}
		mode := os.FileMode(0o644)
		if path.Dir(to) == "etc/init.d" {
			mode = 0o755
		}
		out = append(out, file{path: to, data: b, mode: mode})
	}
	return out, nil
}
