package daemon

import "spate/torrent"

// SetRates limits the rates of all torrents in bytes a second until the daemon stops, instead of those
// with which it was started; 0: no limit but the one that is learned from the line, and those of the
// schedule and the monthly volume.
func (p *Publisher) SetRates(up, down int64) {
	s := p.session
	s.up.Store(up)
	s.down.Store(down)
	p.applyRates()
}

// SessionFacts describes how a session connects.
type SessionFacts struct {
	Up, Down                int64 // limits that the user gave in bytes a second; 0: none
	PeerPort                uint16
	PortMap                 bool // the router is asked to open the port
	DHT, LSD, PEX, UTP, TCP bool
	Encryption              torrent.Encryption
}

// SessionFacts describes how the session connects.
func (p *Publisher) SessionFacts() SessionFacts {
	s, opt := p.session, &p.conf.Session
	return SessionFacts{
		Up: s.up.Load(), Down: s.down.Load(), PeerPort: s.PeerPort(), PortMap: s.ports != nil,
		DHT: s.DHT, LSD: s.Local, PEX: !opt.Options.NoPEX, UTP: !opt.NoUTP, TCP: !s.noTCP, Encryption: opt.Options.Encryption,
	}
}
