//go:build unix && !linux

package transport

// pause does nothing on systems where readers do not pause.
type pause struct{ slots chan struct{} }

func (*pause) after(fd, n int) {}
func (*pause) end(fd int)      {}
func (*pause) release()        {}
