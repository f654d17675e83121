package transmission

import (
	"net/http"

	"spate"
	"spate/internal/daemon"
	"spate/torrent"
)

// Handler returns a handler of the protocol for a daemon with added torrents. access says who may use
// it. It is a [daemon.APIHandler].
func Handler(d *daemon.Daemon, access daemon.APIAccess) http.Handler {
	t, err := d.Torrents()
	if err != nil {
		return http.NotFoundHandler() // spate publish, which has no such setting
	}
	admit := func(r *http.Request) (daemon.Access, int, string) {
		switch who, no := access.Identify(r); {
		case no == nil:
			return who, 0, ""
		case no.Login:
			return who, http.StatusUnauthorized, no.Why
		default:
			return who, http.StatusForbidden, no.Why
		}
	}
	mux := http.NewServeMux()
	rpc := NewServer(t, session{d, t}, Options{Admit: admit, Now: d.Now})
	mux.Handle(Path, rpc)
	mux.Handle(Path+"/{$}", rpc) // as transmission-remote writes it
	return mux
}

// session implements [Session] for a daemon.
type session struct {
	d *daemon.Daemon
	t *daemon.Torrents
}

// Info implements [Session].
func (s session) Info() SessionInfo {
	f, folders := s.d.SessionFacts(), s.t.Folders()
	i := SessionInfo{
		Version: spate.Version, State: s.d.State(), DownloadDir: folders[0], Folders: folders, PeerPort: f.PeerPort, PortMapped: f.PortMap, PortOpen: s.d.Reach().Confirmed,
		DHT: f.DHT, LSD: f.LSD, PEX: f.PEX, UTP: f.UTP, TCP: f.TCP, Up: f.Up, Down: f.Down, Started: s.d.Started().Unix(),
	}
	i.MaxDownloads, i.MaxSeeds = s.t.Limits()
	switch f.Encryption {
	case torrent.EncryptionRequire:
		i.Encryption = "required"
	case torrent.EncryptionPrefer:
		i.Encryption = "preferred"
	default:
		i.Encryption = "tolerated"
	}
	return i
}

// SetRates implements [Session].
func (s session) SetRates(up, down int64) { s.d.SetRates(up, down) }
