package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Limits of the sockets that the service manager passes (sd_listen_fds(3)).
const (
	firstInherited = 3  // LISTEN_FDS counts from this descriptor
	maxInherited   = 64 // a larger number must be an error
)

// inherited returns the sockets that the service manager opened for this process, or nil if
// there are none. These sockets stay open over a restart, so that connections and packets wait
// in them.
func (e *Env) inherited() (*sockets, error) {
	if e.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(e.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxInherited {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not the number of sockets that the service manager opened", e.Getenv("LISTEN_FDS"))
	}
	var files []*os.File
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		files = append(files, os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd)))
	}
	return socketsOf(files)
}

// socketsOf takes a listening TCP socket and a UDP socket from files, which it closes. It
// returns an error if there are two of a kind, because one of them would not be served.
func socketsOf(files []*os.File) (_ *sockets, err error) {
	s := &sockets{}
	defer func() {
		for _, f := range files {
			f.Close() // the sockets have duplicates of the descriptors
		}
		if err != nil {
			s.close()
		}
	}()
	for _, f := range files {
		if l, err := net.FileListener(f); err == nil {
			if s.http != nil {
				l.Close()
				return nil, fmt.Errorf("%s: the service manager opened two TCP sockets, but spate uses only one", f.Name())
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
			return nil, fmt.Errorf("%s: the service manager opened two UDP sockets, but spate uses only one", f.Name())
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

// takeOver is the time that the previous process has to stop.
const takeOver = time.Minute

// openAndLock opens the sockets and locks the state directory.
//
// With ReusePort another process may hold the lock and listen on the same addresses. In
// that case openAndLock listens first and then tells that process to stop. Connections that
// arrive until that process has saved its state wait in the new sockets.
func (e *Env) openAndLock(ctx context.Context, l *ListenConfig, state string) (s *sockets, lock *os.File, err error) {
	if err := e.PrepareState(state); err != nil {
		return nil, nil, err
	}
	lockPath, what := filepath.Join(state, "lock"), "the state directory "+state
	if lock, err = LockFile(lockPath, what); err != nil && !(l.ReusePort && errors.Is(err, ErrLocked)) {
		return nil, nil, err
	}
	defer func() {
		if err != nil && lock != nil {
			lock.Close()
		}
	}()
	if s, err = e.inherited(); err == nil && s == nil {
		s, err = l.open(ctx)
	}
	if err != nil {
		return nil, lock, err
	}
	if lock == nil {
		if lock, err = e.replace(ctx, lockPath, what); err != nil {
			s.close()
			return nil, nil, err
		}
	}
	return s, lock, nil
}

// replace stops the process that holds the lock, and locks.
func (e *Env) replace(ctx context.Context, lockPath, what string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	told := 0
	for {
		lock, err := LockFile(lockPath, what)
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if pid := lockHolder(lockPath); pid > 0 && pid != told && pid != os.Getpid() {
			e.Log.Info("taking over", "from", pid)
			if err := terminate(pid); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return nil, fmt.Errorf("%s is in use by process %d, and telling it to stop failed: %w", what, pid, err)
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
