//go:build linux

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// release is what a site tells about a release, and spate show about a torrent.
type release struct {
	V1          string `json:"info_hash_v1"`
	V2          string `json:"info_hash_v2"`
	Twin        string `json:"info_hash_twin"`
	Pieces      int
	PieceLength int     `json:"piece_length"`
	HTTPBytes   float64 `json:"http_bytes"`
	Live        struct{ State string }
}

// hash returns the info-hash by which peers find the torrent, in hexadecimal.
func (r *release) hash() string {
	if r.V1 != "" {
		return r.V1
	}
	return r.V2[:min(40, len(r.V2))]
}

// startOrigin starts the origin and waits until it seeds and has announced.
func (s *swarmRun) startOrigin() error {
	if s.origin == "spate" {
		return s.publish()
	}
	return s.seed()
}

// file returns the path of a file of the run.
func (s *swarmRun) file(name string) string { return filepath.Join(s.work, name) }

// start starts a program on a host. Its output is kept in the logs as name.
func (s *swarmRun) start(host int, name string, args []string, in *os.File, heard func(string)) (*process, error) {
	p, err := startHeard(s.net.command(s.net.host(host), args), in, heard)
	if err == nil {
		s.logs[name] = append(s.logs[name], p)
	}
	return p, err
}

// publish starts spate publish, and gets its torrents.
func (s *swarmRun) publish() error {
	args := []string{s.in.spate, "publish", filepath.Join(s.data, swarmFile), "--public-url", s.net.url(originHost), "--state", s.file("origin"),
		"--json", "--peer-port", fmt.Sprint(peerPort)}
	args = append(args, s.torrentFlags()...)
	args = append(args, strings.Fields(s.o.publishFlags)...)
	p, err := s.start(originHost, "origin", args, nil, nil)
	if err != nil {
		return err
	}
	s.helpers = append(s.helpers, p)
	err = until(p, func() error {
		if err := s.askSite(); err != nil {
			return err
		}
		if s.release.Live.State != "seeding" {
			return fmt.Errorf("the release is %s", s.release.Live.State)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the origin: %w", err)
	}
	for path, name := range map[string]string{"/t/": "x.torrent", "/t1/": "twin.torrent"} {
		if path == "/t1/" && s.release.Twin == "" {
			continue
		}
		b, err := s.net.fetch(s.net.url(originHost) + path + swarmFile + ".torrent")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.file(name), b, 0o644); err != nil {
			return err
		}
		if err := s.editWebSeed(s.file(name)); err != nil {
			return err
		}
	}
	return nil
}

// torrentFlags returns the flags of create and publish that shape the torrent.
func (s *swarmRun) torrentFlags() (args []string) {
	if s.o.format != "" {
		args = append(args, "--format", s.o.format)
	}
	if s.o.pieceLength != "" {
		args = append(args, "--piece-length", s.o.pieceLength)
	}
	return args
}

// editWebSeed puts the origin's URL into a torrent or takes it out, as the options say.
func (s *swarmRun) editWebSeed(torrent string) error {
	args := map[string][]string{
		"on":  {"--web-seed", s.net.url(originHost) + "/d/" + swarmFile},
		"off": {"--remove-web-seed", "all"},
	}[s.o.webSeed]
	if args == nil {
		return nil
	}
	if out, err := exec.Command(s.in.spate, append([]string{"edit", torrent}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("spate edit: %w: %s", err, out)
	}
	return nil
}

// askSite reads the release from the site of spate publish.
func (s *swarmRun) askSite() error {
	b, err := s.net.fetch(s.net.url(originHost) + "/r/" + swarmFile + "/release.json")
	if err != nil {
		return err
	}
	return json.Unmarshal(b, &s.release)
}

// seed starts a tracker on its own host, creates a torrent, and starts a seed.
func (s *swarmRun) seed() error {
	host := s.net.url(trackerSide)
	tracker, err := s.start(trackerSide, "tracker", []string{s.in.spate, "tracker", "--state", s.file("tracker"), "--public-url", host, "-q"}, nil, nil)
	if err != nil {
		return err
	}
	s.helpers = append(s.helpers, tracker)
	torrent := s.file("x.torrent")
	args := append([]string{"create", filepath.Join(s.data, swarmFile), "-a", host + "/announce", "-o", torrent, "-q"}, s.torrentFlags()...)
	if out, err := exec.Command(s.in.spate, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("spate create: %w: %s", err, out)
	}
	out, err := exec.Command(s.in.spate, "show", torrent, "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &s.release)
	}
	if err != nil {
		return fmt.Errorf("spate show: %w", err)
	}
	j := peerJob{
		torrent: torrent, dir: s.data, state: s.file("origin"), listen: s.net.listen(originHost), seed: true,
		super: s.origin == "libtorrent-super", tcp: s.origin == "libtorrent-tcp", flags: strings.Fields(s.o.publishFlags),
	}
	if err := os.Mkdir(j.state, 0o755); err != nil {
		return err
	}
	args, err = s.in.peer(s.origin, j)
	if err != nil {
		return err
	}
	p, err := s.start(originHost, "origin", args, nil, nil)
	if err != nil {
		return err
	}
	s.helpers = append(s.helpers, p)
	hash, err := hex.DecodeString(s.release.hash())
	if err != nil {
		return err
	}
	err = until(p, func() error {
		b, err := s.net.fetch(host + "/scrape?info_hash=" + url.QueryEscape(string(hash)))
		if err == nil && !bytes.Contains(b, []byte("8:completei1e")) {
			err = fmt.Errorf("the tracker has no seed")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the origin: %w", err)
	}
	return nil
}
