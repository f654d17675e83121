package daemon

import (
	"net"
	"net/netip"
	"time"

	"spate/internal/netguard"
	"spate/internal/sockqueue"
	"spate/internal/stun"
	"spate/internal/udpmux"
	"spate/internal/uplink"
	"spate/internal/webrtc"
	"spate/torrent"
	"spate/tracker"
)

// dataChannels is WebRTC on the UDP port of the peers. It implements [torrent.WebRTC].
type dataChannels struct{ *webrtc.Endpoint }

// Offer implements [torrent.WebRTC].
func (d dataChannels) Offer(opened func(net.Conn)) (tracker.Offer, error) {
	o, err := d.Endpoint.Offer(func(s *webrtc.Stream) { opened(channelConn{s}) })
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Answer implements [torrent.WebRTC].
func (d dataChannels) Answer(offer string, opened func(net.Conn)) (string, error) {
	return d.Endpoint.Answer(offer, func(s *webrtc.Stream) { opened(channelConn{s}) })
}

// channelConn is a data channel that counts at the uplink.
type channelConn struct{ *webrtc.Stream }

var _ uplink.PathReporter = channelConn{}

// Path implements [uplink.PathReporter].
func (c channelConn) Path() sockqueue.Path {
	st := c.SendState()
	return sockqueue.Path{RTT: st.RTT, MinRTT: st.MinRTT, Acked: st.Acked, Queued: st.Unacked, Unsent: st.Unsent}
}

// openWebRTC carries WebRTC over a UDP port. The caller must run the port.
func (e *Env) openWebRTC(udp *udpmux.Mux, bind netip.Addr, at *channelAddr) (torrent.WebRTC, error) {
	at.bind, at.port = bind, udp.Port()
	end, err := webrtc.New(webrtc.Options{
		Send: func(b []byte, to netip.AddrPort, local netip.Addr) error {
			_, err := udp.Send([]udpmux.Packet{{Addr: to, Local: local, Data: b}})
			return err
		},
		SendBatch: func(packets []udpmux.Packet) { udp.Send(packets) },
		Addrs:     at.addrs, Reachable: at.reachable, Log: e.Log,
		MayCheck: func(a netip.AddrPort) bool { return mayCheck(bind, a) },
	})
	if err != nil {
		return nil, err
	}
	udp.Receive(udpmux.WebRTC, func(batch []udpmux.Packet) {
		for i := range batch {
			end.Receive(batch[i].Data, batch[i].Addr, batch[i].Local)
		}
		end.Flush()
	})
	answerSTUN(udp)
	return dataChannels{end}, nil
}

// answerSTUN answers the STUN requests of browsers and other clients on a UDP port, at a limited
// rate, so that they learn the address that others see.
func answerSTUN(udp *udpmux.Mux) {
	var server stun.Server
	var reply []byte
	udp.Receive(udpmux.STUN, func(batch []udpmux.Packet) {
		now := time.Now()
		for _, p := range batch {
			reply = server.Answer(now, reply[:0], p.Data, p.Addr)
			if len(reply) > 0 {
				udp.Queue(udpmux.Packet{Addr: p.Addr, Local: p.Local, Data: reply})
			}
		}
	})
}

// leastCheckedPort is the least port to which checks are sent. No peer has a privileged port.
const leastCheckedPort = 1024

// mayCheck reports whether a process that is bound to an address may send checks to a candidate
// that another peer named: on loopback only to loopback, and otherwise to public addresses and
// those of private networks, as for peers that a tracker names. Addresses of this machine and
// broadcast addresses are not allowed, nor are ports of services.
func mayCheck(bind netip.Addr, to netip.AddrPort) bool {
	if to.Port() < leastCheckedPort || netguard.ServicePort(to.Port()) {
		return false
	}
	guard := netguard.Dialer{LocalAddr: bind, OnlyLoopback: bind.IsLoopback()}
	within := netguard.Reach(1<<netguard.Public | 1<<netguard.Private) // without this machine
	if bind.IsLoopback() {
		within = netguard.ToMachine
	}
	return guard.CheckAddr(within, to) == nil
}
