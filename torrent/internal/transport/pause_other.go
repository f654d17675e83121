//go:build unix && !linux

package torrent

// pause is for systems where a reader is not made to pause.
type pause struct{ slots chan struct{} }

func (*pause) after(fd, n int) {}
func (*pause) end(fd int)      {}
func (*pause) release()        {}
