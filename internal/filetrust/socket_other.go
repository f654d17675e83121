//go:build !unix

package filetrust

import "net"

// Listen listens on a Unix socket at path.
func Listen(path string) (net.Listener, error) { return net.Listen("unix", path) }
