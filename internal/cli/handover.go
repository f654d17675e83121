package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Sockets that the service manager opened and gives us (sd_listen_fds(3)) stay
// open while we are restarted: what comes meanwhile waits in them.

const (
	firstInherited = 3  // LISTEN_FDS counts from here
	maxInherited   = 64 // more is a mistake
)

// inherited returns the sockets that the service manager opened for this very
// process, nil if there are none.
func (a *app) inherited() (*sockets, error) {
	if a.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(a.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxInherited {
		return nil, fmt.Errorf("LISTEN_FDS=%q: want the number of sockets that the service manager opened", a.Getenv("LISTEN_FDS"))
	}
	var files []*os.File
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		files = append(files, os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd)))
	}
	return socketsOf(files)
}

// socketsOf takes a listening TCP socket and a UDP socket from files, which it
// closes. A second one of a kind is an error, for nobody would serve it.
func socketsOf(files []*os.File) (_ *sockets, err error) {
	s := &sockets{}
	defer func() {
		for _, f := range files {
			f.Close() // the sockets have descriptors of their own
		}
		if err != nil {
			s.close()
		}
	}()
	for _, f := range files {
		if l, err := net.FileListener(f); err == nil {
			if s.http != nil {
				l.Close()
				return nil, fmt.Errorf("%s: the service manager opened two TCP sockets, and one is served", f.Name())
			}
			s.http = l
			continue
		}
		p, err := net.FilePacketConn(f)
		if err != nil {
			return nil, fmt.Errorf("%s of the service manager: %w", f.Name(), err)
		}
		if s.udp != nil {
			p.Close()
			return nil, fmt.Errorf("%s: the service manager opened two UDP sockets, and one is served", f.Name())
		}
		s.udp = p
	}
	if len(files) == 0 {
		return nil, nil
	}
	if s.http == nil {
		return nil, errors.New("the service manager opened no TCP socket (ListenStream=)")
	}
	return s, nil
}

// takeOver is how long a tracker that is to be replaced has to stop.
const takeOver = time.Minute

// openAndLock returns the sockets of who and the lock of its state. With
// --reuse-port, a tracker that has the state listens on the same addresses: it
// is told to stop once we listen too, and what comes until it has saved its
// state waits in our sockets.
func (a *app) openAndLock(ctx context.Context, opt *listenFlags, who, lockPath, what string) (s *sockets, lock *os.File, err error) {
	if lock, err = lockFile(lockPath, what); err != nil && !(opt.reusePort && errors.Is(err, errLocked)) {
		return nil, nil, err
	}
	defer func() {
		if err != nil && lock != nil {
			lock.Close()
		}
	}()
	if s, err = a.inherited(); err == nil && s == nil {
		s, err = opt.open(ctx, who)
	}
	if err != nil {
		return nil, lock, err
	}
	if lock == nil {
		if lock, err = a.replace(ctx, lockPath, what); err != nil {
			s.close()
			return nil, nil, err
		}
	}
	return s, lock, nil
}

// replace stops the process that has the lock, and takes it.
func (a *app) replace(ctx context.Context, lockPath, what string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	told := 0
	for {
		lock, err := lockFile(lockPath, what)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		if pid := lockHolder(lockPath); pid > 0 && pid != told && pid != os.Getpid() {
			a.Log.Info("taking over", "from", pid)
			if err := terminate(pid); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return nil, fmt.Errorf("%s is in use by process %d, which cannot be told to stop: %w", what, pid, err)
			}
			told = pid
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// terminate asks a process to stop.
func terminate(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer p.Release()
	return p.Signal(syscall.SIGTERM)
}
