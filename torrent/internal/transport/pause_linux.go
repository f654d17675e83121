package torrent

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A fast peer sends while what it sent before is handled. Whoever reads as soon as
// there is something makes a system call, an acknowledgement and often the wake of a
// thread for each few packets. So the reader of such a peer pauses in the kernel until
// a read is worth it.
const (
	pauseFrom  = 64 << 10  // bytes of one read that make a peer fast
	pauseBytes = 192 << 10 // that the pause waits for
	pauseMost  = 2         // milliseconds that it lasts at most
)

// pause is what one reader knows of its pauses. A thread waits in each, so only as many
// readers as there are slots may pause; others wait as for slow peers.
type pause struct {
	slots chan struct{}
	holds bool // one of the slots: the peer is fast
	poll  [1]unix.PollFd
}

// after is called when a read has emptied the socket of n bytes. For a fast peer it
// returns when more are worth a read, or after pauseMost.
func (p *pause) after(fd, n int) {
	if !p.holds && (n < pauseFrom || !p.begin(fd)) {
		return
	}
	p.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	if ready, err := unix.Poll(p.poll[:], pauseMost); ready == 0 && err == nil {
		p.end(fd)
	}
}

// begin takes a slot and makes less than pauseBytes not worth a wake.
func (p *pause) begin(fd int) bool {
	select {
	case p.slots <- struct{}{}:
	default:
		return false
	}
	p.holds = true
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, pauseBytes)
	return true
}

// end makes every byte worth a wake again.
func (p *pause) end(fd int) {
	if p.holds {
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, 1)
		p.release()
	}
}

// release gives the slot back.
func (p *pause) release() {
	if p.holds {
		p.holds = false
		<-p.slots
	}
}
