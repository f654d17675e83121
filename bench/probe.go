//go:build linux

package main

import (
	"fmt"
	"io"
	"math/bits"
	"net"
	"time"

	"spate"
	"spate/peerwire"
)

// offered returns nil if the peer at addr announces all n pieces.
func offered(addr string, ih spate.InfoHash, n int) error {
	nc, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(3 * time.Second)) // aria2 answers slowly
	hs := peerwire.Handshake{InfoHash: ih, PeerID: spate.NewPeerID()}
	hs.Reserved.SetFast()
	if _, err := nc.Write(hs.Append(nil)); err != nil {
		return err
	}
	b := make([]byte, peerwire.HandshakeLen, 1<<20)
	if _, err := io.ReadFull(nc, b); err != nil {
		return err
	}
	// Some programs send their pieces only after they have received those of the other
	// side, which they accept only after their own handshake.
	if _, err := nc.Write(peerwire.AppendSimple(nil, peerwire.HaveNone)); err != nil {
		return err
	}
	have := 0
	for b = b[:0]; ; {
		var m peerwire.Message
		size, _, err := peerwire.Parse(b, &m)
		if err != nil {
			return err
		}
		if size == 0 {
			k, err := nc.Read(b[len(b):cap(b)])
			if err != nil {
				return fmt.Errorf("%d of %d pieces: %w", have, n, err)
			}
			b = b[:len(b)+k]
			continue
		}
		switch m.ID {
		case peerwire.HaveAll:
			return nil
		case peerwire.Bitfield:
			for _, v := range m.Payload {
				have += bits.OnesCount8(v)
			}
		case peerwire.Have:
			have++
		}
		if have == n {
			return nil
		}
		b = b[:copy(b, b[size:])]
	}
}
