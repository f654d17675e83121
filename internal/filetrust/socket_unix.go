//go:build unix

package filetrust

import (
	"context"
	"net"
	"os"
	"syscall"
)

// Listen listens on a Unix socket at path to which only this user can connect. On Linux the socket
// has that mode from the start; other systems may set it just afterwards.
func Listen(path string) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = syscall.Fchmod(int(fd), 0o600) // Chmod returns the error if this fails
		})
	}}
	l, err := c.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
