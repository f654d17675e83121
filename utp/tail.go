package utp

import "time"

// The packets after a lost one show its loss, but no packet follows the last one, so that its loss
// costs a whole timeout. The last packet is therefore sent again earlier, once (tail loss probe, RFC
// 8985, section 7). Its ACK also shows which packets before it are lost.

// tailDelay is the time that a peer may wait for another packet before it sends an ACK: libutp waits
// for 100 ms.
const tailDelay = 100 * time.Millisecond

// armProbe sets when the last packet is sent again: two round-trip times after it was sent, if all
// packets are sent and none counts as lost.
func (m *machine) armProbe() {
	m.probeAt = 0
	s := &m.s
	if m.state != open || m.srtt == 0 || m.backoff > 0 || s.lost > 0 || s.una == s.next || s.next != s.end {
		return
	}
	if p := s.at(s.next - 1); p.status == flying && p.sends == 1 {
		if at := p.sentAt + 2*m.srtt + tailDelay; m.retransmitAt == 0 || at < m.retransmitAt {
			m.probeAt = at
		}
	}
}

// probeTail sends the last packet again. It says nothing about congestion.
func (m *machine) probeTail(now time.Duration) {
	m.probeAt = 0
	seq := m.s.next - 1
	if p := m.s.at(seq); m.s.una == m.s.next || p.status != flying {
		return
	}
	m.mtu.lost(now, seq)
	m.s.at(seq).probe = true
	m.s.lose(seq)
	m.force = 1
}
