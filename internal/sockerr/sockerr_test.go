package sockerr_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"spate/internal/sockerr"
)

// TestIs checks that the errors of Unix and of Windows are recognised, wrapped and joined too, and
// that no error is taken for another.
func TestIs(t *testing.T) {
	t.Parallel()
	windows := map[syscall.Errno]syscall.Errno{
		syscall.EACCES: 10013, syscall.EINVAL: 10022, syscall.EMSGSIZE: 10040, syscall.EADDRINUSE: 10048, syscall.EADDRNOTAVAIL: 10049,
		syscall.ENETUNREACH: 10051, syscall.ECONNABORTED: 10053, syscall.ECONNRESET: 10054, syscall.ETIMEDOUT: 10060,
		syscall.ECONNREFUSED: 10061, syscall.EHOSTUNREACH: 10065,
	}
	for is := range windows {
		for of, number := range windows {
			for _, n := range []syscall.Errno{of, number} {
				op := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", n)}
				for _, err := range []error{op, fmt.Errorf("wrapped: %w", op), errors.Join(errors.New("other"), op)} {
					if got := sockerr.Is(err, is); got != (is == of) {
						t.Errorf("%v (%d) is %v: %t", err, n, is, got)
					}
				}
			}
		}
	}
	if sockerr.Is(nil, syscall.ECONNREFUSED) || sockerr.Is(syscall.Errno(0), syscall.EPERM) {
		t.Error("an error that did not happen is recognised")
	}
}

// TestNobodyComparesErrorsOfSockets checks that all code asks this package, because a comparison with
// package syscall is never true on Windows.
func TestNobodyComparesErrorsOfSockets(t *testing.T) {
	t.Parallel()
	direct := regexp.MustCompile(`errors\.Is\([^()]*, (syscall|unix)\.(EACCES|EADDR\w+|ECONN\w+|ENETUNREACH|EHOSTUNREACH|EMSGSIZE|ETIMEDOUT)\)`)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range direct.FindAllString(string(text), -1) {
			t.Errorf("%s: %s: use sockerr.Is", path, m)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
