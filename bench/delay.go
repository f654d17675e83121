//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// frameRoom holds the largest frame, which segmentation offload makes larger than a packet,
// and the header in which the kernel describes the offload.
const frameRoom = 80 << 10

// delay forwards frames between pairs of interfaces and delays each by the same time, because
// many kernels lack netem. Its arguments are the time and A=B for each pair. It runs until it is
// stopped.
func delay(args []string) error {
	if len(args) < 2 {
		return errors.New("delay needs a time and pairs of interfaces")
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	failed := make(chan error)
	for _, pair := range args[1:] {
		a, b, _ := strings.Cut(pair, "=")
		fa, err := packetSocket(a)
		if err != nil {
			return fmt.Errorf("interface %s: %w", a, err)
		}
		fb, err := packetSocket(b)
		if err != nil {
			return fmt.Errorf("interface %s: %w", b, err)
		}
		go func() { failed <- forward(fa, fb, d) }()
		go func() { failed <- forward(fb, fa, d) }()
	}
	return <-failed
}

// packetSocket opens a socket for all frames that an interface receives. Each frame has a header
// before it that describes checksums and segments the sender has left to the hardware. forward
// passes it on, so that the kernel completes the frame where it leaves this machine's links.
func packetSocket(name string) (*os.File, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	for _, set := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16 << 20},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16 << 20},
	} {
		if err := unix.SetsockoptInt(fd, set.level, set.name, set.value); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// delayed is a frame and the time when it is due.
type delayed struct {
	frame []byte
	due   time.Time
}

// forward reads frames from one socket and writes each to the other after the time d.
func forward(from, to *os.File, d time.Duration) error {
	queue := make(chan delayed, 1<<14) // longer than the modems' queues
	go func() {
		for f := range queue {
			time.Sleep(time.Until(f.due))
			to.Write(f.frame) // a frame that the interface refuses is lost, as on a link
		}
	}()
	defer close(queue)
	buf := make([]byte, frameRoom)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return err
		}
		queue <- delayed{append([]byte(nil), buf[:n]...), time.Now().Add(d)}
	}
}
