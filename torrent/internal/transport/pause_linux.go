package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A fast peer sends more blocks while its last blocks are being handled. A reader that reads
// as soon as any bytes have arrived makes a system call for every few packets, and often
// wakes a thread. So the reader of a fast peer pauses in the kernel until many bytes have
// arrived.
const (
	pauseFrom  = 64 << 10  // bytes of one read from which a peer counts as fast
	pauseBytes = 192 << 10 // bytes that a pause waits for
	pauseMost  = 2         // longest pause in milliseconds
)

// pause holds the state of one reader's pauses. Each pause blocks a thread, so slots bounds
// the number of readers that pause. Further readers of fast peers do not pause.
type pause struct {
	slots chan struct{}
	holds bool // the reader holds one of the slots, because its peer is fast
	poll  [1]unix.PollFd
}

// after is called when a read of n bytes has emptied the socket. For a fast peer it returns
// when pauseBytes have arrived, or after pauseMost.
func (p *pause) after(fd, n int) {
	if !p.holds && (n < pauseFrom || !p.begin(fd)) {
		return
	}
	p.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	if ready, err := unix.Poll(p.poll[:], pauseMost); ready == 0 && err == nil {
		p.end(fd)
	}
}

// begin takes a slot and makes the kernel wake the reader only for pauseBytes.
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

// end makes the kernel wake the reader for every byte again.
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
