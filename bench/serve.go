//go:build linux

package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"spate/metainfo"
	"spate/torrent"
)

// serve seeds a torrent with the library, because the program accepts fewer connections per
// torrent than crowdSize. Its arguments are the torrent, the directory of the data, and the
// address. With a fourth, utp, peers connect over uTP only.
func serve(args []string) error {
	if len(args) < 3 || len(args) > 4 || len(args) == 4 && args[3] != "utp" {
		return errors.New("serve needs a torrent, a directory, an address, and perhaps utp")
	}
	file, dir, addr := args[0], args[1], args[2]
	mi, err := metainfo.ReadFile(file)
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	opt := torrent.Options{Bind: at.Addr(), PeerPort: at.Port(), MaxConns: 2 * crowdSize, MaxConnsPerTorrent: 2 * crowdSize}
	if len(args) == 4 {
		peers, err := newUTPPeers(at.Addr().String(), at.Port())
		if err != nil {
			return err
		}
		defer peers.close()
		opt.UTP, opt.NoTCP = peers, true
	}
	s, err := torrent.NewSession(opt)
	if err != nil {
		return err
	}
	if _, err := s.Add(mi, torrent.AddOptions{Dir: filepath.Clean(dir), SeedOnly: true, PlainSeed: true}); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return s.Run(ctx)
}
