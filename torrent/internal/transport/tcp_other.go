//go:build !unix

package torrent

import "syscall"

func (c *conn) receive() error { return c.receivePortable() }

// writeNow leaves everything to a writer.
func writeNow(syscall.RawConn, []byte) int { return 0 }
