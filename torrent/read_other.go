//go:build !unix

package torrent

func (c *conn) receive() error { return c.receivePortable() }
