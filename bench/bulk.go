//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bulk sends data over one TCP connection as fast as the kernel can. Its arguments are "receive"
// and an address to listen on, or "send", the address of a receiver and the congestion control,
// such as cubic. Both run until they are stopped.
func bulk(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "receive":
		return receiveBulk(args[1])
	case len(args) == 3 && args[0] == "send":
		return sendBulk(args[1], args[2])
	}
	return errors.New("bulk needs receive and an address, or send, an address and a congestion control")
}

// sendBulk sends to addr until the connection fails.
func sendBulk(addr, control string) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, control)
		}), err)
	}}
	d.SetMultipathTCP(false)
	conn, err := d.Dial("tcp", addr)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); conn, err = d.Dial("tcp", addr) {
		time.Sleep(50 * time.Millisecond) // the receiver may have been started a moment ago
	}
	if err != nil {
		return err
	}
	for b := make([]byte, 64<<10); ; {
		if _, err := conn.Write(b); err != nil {
			return err
		}
	}
}

// receiveBulk reads and drops all that arrives at addr.
func receiveBulk(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go io.Copy(io.Discard, conn)
	}
}
