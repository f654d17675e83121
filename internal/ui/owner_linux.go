package ui

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// ownerOf returns the user id of the process at the other end of a connection of this machine, as
// /proc/net/tcp says: remote is its address, local that of this process. ok is false if it is not known.
func ownerOf(remote, local netip.AddrPort) (uid int, ok bool) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		uid, ok = ownerIn(f, remote, local)
		f.Close()
		if ok {
			return uid, true
		}
	}
	return 0, false
}

// maxConnections limits the number of lines that ownerIn reads.
const maxConnections = 200_000

// ownerIn finds a connection in the table of the kernel: proc_pid_net(5). The fields are the number of
// the line, the local address, the remote address, the state, queues, timers, retransmissions and the
// user id.
func ownerIn(table io.Reader, remote, local netip.AddrPort) (uid int, ok bool) {
	theirs := [2]string{kernelAddr(remote), kernelAddr4(remote)}
	ours := [2]string{kernelAddr(local), kernelAddr4(local)}
	lines := bufio.NewScanner(table)
	for n := 0; lines.Scan() && n < maxConnections; n++ {
		f := strings.Fields(lines.Text())
		if len(f) < 8 {
			continue
		}
		for i := range theirs {
			if f[1] == theirs[i] && f[2] == ours[i] {
				uid, err := strconv.Atoi(f[7])
				return uid, err == nil
			}
		}
	}
	return 0, false
}

// kernelAddr returns an address as the kernel writes it: words of 32 bits in the order of the machine,
// as hexadecimal digits. An IPv4 address has one word.
func kernelAddr(a netip.AddrPort) string {
	return kernelWords(a.Addr().Unmap().AsSlice(), a.Port())
}

// kernelAddr4 is kernelAddr for a socket of IPv6 that has an IPv4 address.
func kernelAddr4(a netip.AddrPort) string {
	mapped := a.Addr().As16()
	return kernelWords(mapped[:], a.Port())
}

func kernelWords(b []byte, port uint16) string {
	var out strings.Builder
	for ; len(b) >= 4; b = b[4:] {
		var word [4]byte
		binary.NativeEndian.PutUint32(word[:], binary.BigEndian.Uint32(b))
		out.WriteString(strings.ToUpper(hex.EncodeToString(word[:])))
	}
	fmt.Fprintf(&out, ":%04X", port)
	return out.String()
}
