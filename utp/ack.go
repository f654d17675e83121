package utp

import "time"

// handleAck takes the acknowledgements of a packet.
func (m *machine) handleAck(now time.Duration, h *header) {
	s := &m.s
	if before(h.ack+1, s.una) {
		return // a later packet has overtaken this one
	}
	limited := s.inFlight+s.packet > int(m.congestion.window)
	var newest slot
	total, packets, needless := 0, 0, false
	ack := func(seq uint16) {
		p, bytes, ok := s.acknowledge(seq)
		if !ok {
			return
		}
		if m.mtu.arrived(now, headerLen+bytes, p.sends) {
			m.resize()
		}
		total += bytes
		packets++
		if m.mtu.acked(now, seq, p.sends) {
			m.resize()
		}
		if p.order > newest.order {
			newest = *p
		}
		needless = needless || p.sends == 2 && !p.probe && now-p.sentAt < m.queue.baseRTT()/2
	}
	for seq := s.una; !before(h.ack, seq); seq++ {
		ack(seq)
	}
	for i := range min(len(h.sack)*8, int(s.next-h.ack)-2) {
		if h.sack[i/8]&(1<<(i%8)) != 0 {
			ack(h.ack + 2 + uint16(i))
		}
	}
	s.window = int(min(h.window, 1<<30))
	if packets > 0 || s.window < s.packet {
		m.progressAt = now
	}
	if packets == 0 {
		m.duplicateAck(now, h)
		return
	}
	s.advance()
	m.backoff, m.duplicates = 0, 0
	if needless {
		m.tolerance = min(2*m.tolerance, maxTolerance)
		m.congestion.undo()
	}
	// The ACK of a packet that was sent twice can belong to the first transmission, unless it
	// came so late that only the second can have caused it.
	rtt := now - newest.sentAt
	if newest.sends == 1 || rtt >= m.queue.baseRTT() {
		m.highest = max(m.highest, newest.order)
	}
	if newest.sends == 1 {
		m.sampleRTT(rtt)
		queue := m.queue.acked(now, h.delay, rtt)
		if m.congestion.acked(now, total, queue, m.srtt, limited, newest.order <= m.cutOrder) {
			m.cutOrder = s.order
		}
	}
	m.detectLoss(now)
	m.retransmitAt = 0
	if s.una != s.next {
		m.retransmitAt = now + m.rto()
	}
	m.armProbe()
}

// duplicateAck counts ACKs that acknowledge nothing new. They stand for a loss if the peer sends
// no selective ACKs.
func (m *machine) duplicateAck(now time.Duration, h *header) {
	s := &m.s
	if h.kind != stState || h.sack != nil || h.ack+1 != s.una || s.una == s.next {
		return
	}
	m.duplicates++
	if p := s.at(s.una); m.duplicates == minTolerance && p.status == flying && p.sends == 1 {
		m.highest = max(m.highest, p.order+m.tolerance)
		m.detectLoss(now)
	}
}

// sampleRTT updates the round-trip time (RFC 6298).
func (m *machine) sampleRTT(rtt time.Duration) {
	if m.srtt == 0 {
		m.srtt, m.rttvar = rtt, rtt/2
		return
	}
	m.rttvar += ((m.srtt - rtt).Abs() - m.rttvar) / 4
	m.srtt += (rtt - m.srtt) / 8
}

// rto returns the time after which a packet without an ACK counts as lost.
func (m *machine) rto() time.Duration {
	switch {
	case m.state == dialing:
		return synTimeout
	case m.srtt == 0:
		return initialRTO
	}
	return min(max(m.srtt+4*m.rttvar, minRTO), maxRTO)
}

// detectLoss marks packets as lost that later ones have overtaken (RFC 9002, section 6.1).
func (m *machine) detectLoss(now time.Duration) {
	s := &m.s
	wait := m.srtt + m.srtt/8
	m.lossAt = 0
	cut := false
	for seq := s.una; seq != s.next; seq++ {
		p := s.at(seq)
		if p.status != flying {
			continue
		}
		if p.order >= m.highest {
			if p.sends == 1 {
				break // all that follow were sent later
			}
			continue
		}
		if m.highest-p.order < m.tolerance && now < p.sentAt+wait {
			if at := p.sentAt + wait; m.lossAt == 0 || at < m.lossAt {
				m.lossAt = at
			}
			continue
		}
		order := p.order
		s.lose(seq)
		if !m.mtu.lost(now, seq) {
			cut = cut || order > m.cutOrder
		}
	}
	if cut {
		m.cutOrder = s.order
		m.congestion.lost(now, m.srtt)
	}
}

// retransmitTimeout sends a packet again after no ACK has come for too long, or probes the closed
// window of the peer.
func (m *machine) retransmitTimeout(now time.Duration) {
	s := &m.s
	m.retransmitAt, m.probeAt = 0, 0
	switch {
	case s.una == s.end:
		return
	case m.state == dialing && m.backoff+1 >= synTries:
		m.end(errTimeout)
		return
	case m.backoff >= deadTimeouts && now-m.progressAt > deadAfter:
		m.abort(errLost)
		return
	}
	congested := false
	for seq := s.una; seq != s.next; seq++ {
		if s.at(seq).status == flying {
			s.lose(seq)
			congested = !m.mtu.lost(now, seq) || congested
		}
	}
	if congested && s.window >= s.packet {
		m.congestion.timedOut()
		m.cutOrder = s.order
	}
	m.backoff++
	m.force = 1
	m.retransmitAt = now + m.backedOff()
}

// backedOff returns the wait for the next timeout, which doubles each time.
func (m *machine) backedOff() time.Duration { return min(m.rto()<<min(m.backoff, 6), maxRTO) }

// resize uses the packet size that the MTU search has found for new packets.
func (m *machine) resize() {
	m.s.packet = m.mtu.size - headerLen
	m.congestion.setPacket(m.s.packet)
}
