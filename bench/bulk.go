//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"time"
)

// bulk sends data over one TCP connection as fast as the kernel can. Its arguments are "receive"
// and an address to listen on, or "send" and the address of a receiver. Both run until they are
// stopped.
func bulk(args []string) error {
	if len(args) != 2 {
		return errors.New("bulk needs receive or send, and an address")
	}
	if args[0] == "send" {
		conn, err := net.Dial("tcp", args[1])
		for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); conn, err = net.Dial("tcp", args[1]) {
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
	l, err := net.Listen("tcp", args[1])
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
