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

// inside is set in the process that InNamespace starts, to the name of the test.
const inside = "SPATE_TEST_NAMESPACE"

// InNamespace runs the test once more in a process of its own, in a network namespace
// where this machine has addrs besides loopback and reaches nobody else. It returns true
// in that process, which goes on with the test, and false in the first one, where the
// test is done. It skips the test where namespaces are not permitted.
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
		t.Skip("the program ip is missing")
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
		t.Skipf("no network namespace: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in a namespace: %v\n%s", err, out.String())
	}
	return false
}

// awaitRoute waits until a connection to an address that the kernel was just given comes
// about: the first one in a namespace fails now and then.
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

// commands are the arguments of ip that give addrs to the loopback interface.
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

// slowListener has no room for a second connection until somebody has asked for it in
// vain: the kernel of that side tries again a second later.
type slowListener struct {
	net.Listener
	port int
	full net.Conn // takes the only place
	once sync.Once
}

// ListenSlowly listens at an address "ip:port", where connecting takes a second.
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

// Accept waits until a connection was asked for, the first time, and makes room.
func (l *slowListener) Accept() (net.Conn, error) {
	l.once.Do(func() {
		for !waitsFor(l.port) {
			time.Sleep(time.Millisecond) // the kernel tells nobody
		}
		if first, err := l.Listener.Accept(); err == nil {
			first.Close()
		}
		l.full.Close()
	})
	return l.Listener.Accept()
}

// waitsFor reports whether a connection to port is asked for and not answered yet.
func waitsFor(port int) bool {
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
