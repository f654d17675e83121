package guardtest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inside is the environment variable that InNamespace sets for the process that it starts.
// Its value is the name of the test.
const inside = "SPATE_TEST_NAMESPACE"

// InNamespace runs the test again in another process, in a network namespace that has addrs
// and loopback, and no connection to other machines. It returns true in that process, which
// must run the test, and false in the first process, in which the test must return. It
// skips the test if namespaces are not permitted.
func InNamespace(t *testing.T, addrs ...string) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		for _, args := range append([][]string{{"link", "set", "lo", "up"}}, commands(addrs)...) {
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
		for _, a := range addrs {
			awaitRoute(t, a)
		}
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the program ip is not installed")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot create a network namespace: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the test in a network namespace failed: %v\n%s", err, out.String())
	}
	return false
}

// awaitRoute dials a newly assigned address until a connection succeeds, because the first
// connections in a namespace sometimes fail.
func awaitRoute(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", l.Addr().String()); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal(err)
}

// commands returns the arguments of the ip commands that add addrs to the loopback
// interface.
func commands(addrs []string) (all [][]string) {
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		args := []string{"addr", "add", fmt.Sprintf("%v/%d", a, a.BitLen()), "dev", "lo"}
		if a.Is6() {
			args = append(args, "nodad")
		}
		all = append(all, args)
	}
	return all
}

// slowListener is a listener whose backlog is full until a client tries to connect. The
// client's kernel then tries again after a second.
type slowListener struct {
	net.Listener
	port int
	full net.Conn // fills the backlog
	once sync.Once
}

// ListenSlowly returns a listener at the address "ip:port" to which connecting takes a
// second.
func ListenSlowly(t *testing.T, address string) net.Listener {
	t.Helper()
	ap := netip.MustParseAddrPort(address)
	family, sa := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()})
	if ap.Addr().Is4() {
		family, sa = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), address)
	defer f.Close()
	if err := syscall.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	full, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close() })
	return &slowListener{Listener: l, port: l.Addr().(*net.TCPAddr).Port, full: full}
}

// Accept waits at its first call until a client tries to connect, and then empties the
// backlog.
func (l *slowListener) Accept() (net.Conn, error) {
	l.once.Do(func() {
		for !connecting(l.port) {
			time.Sleep(time.Millisecond) // the kernel does not report connection attempts
		}
		if first, err := l.Listener.Accept(); err == nil {
			first.Close()
		}
		l.full.Close()
	})
	return l.Listener.Accept()
}

// connecting reports whether a socket of this machine waits for a connection to port.
func connecting(port int) bool {
	const synSent = "02"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 3 && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", port)) && f[3] == synSent {
				return true
			}
		}
	}
	return false
}
