package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"testing"

	"spate/metainfo"
)

// TestCodes checks the codes of errors.
func TestCodes(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, Unset},
		{errors.New("x"), Failed},
		{Usagef("x"), Usage},
		{fmt.Errorf("a: %w", &fs.PathError{Op: "open", Path: "p", Err: syscall.ENOENT}), NotFound},
		{&fs.PathError{Op: "mkdir", Path: "p", Err: syscall.EROFS}, Failed},
		{&fs.PathError{Op: "open", Path: "p", Err: syscall.EACCES}, Failed},
		{fmt.Errorf("magnet: %w", metainfo.ErrBadMagnet), BadData},
		{context.DeadlineExceeded, NoPeers},
		{refused, Network},
		{WithHint(refused, "h"), Network},
		{WithSetting(refused, "listen"), Network},
		{&net.OpError{Op: "write", Err: syscall.ENOSPC}, DiskFull},
		{&fs.PathError{Op: "write", Path: "p", Err: syscall.EDQUOT}, DiskFull},
		{fs.ErrExist, Exists},
		{New(BadData, "", "outer: %w", fs.ErrExist), BadData},
		{WithHint(New(NoPeers, "", "inner"), "hint"), NoPeers},
		{fmt.Errorf("outer: %w", New(Exists, "", "inner%w", Quiet(fs.ErrNotExist))), Exists},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %d, want %d", c.err, got, c.want)
		}
	}
	if got := CodeOr(errors.New("x"), Network); got != Network {
		t.Errorf("CodeOr of an error without a code = %d, want %d", got, Network)
	}
	if got := CodeOr(fs.ErrExist, Network); got != Exists {
		t.Errorf("CodeOr of an error with a code = %d, want %d", got, Exists)
	}
}

// TestAdviceIsThatOfTheOutermostError checks that AdviceOf returns the hint and the setting of
// the outermost error that has one.
func TestAdviceIsThatOfTheOutermostError(t *testing.T) {
	t.Parallel()
	inner := &Error{Code: Failed, Err: errors.New("x"), Hint: "inner", Setting: "state"}
	for _, c := range []struct {
		err           error
		hint, setting string
	}{
		{nil, "", ""},
		{errors.New("x"), "", ""},
		{fmt.Errorf("y: %w", inner), "inner", "state"},
		{WithHint(inner, "outer"), "outer", ""},
		{WithSetting(inner, "listen"), "inner", "listen"},
	} {
		if h, s := AdviceOf(c.err); h != c.hint || s != c.setting || HintOf(c.err) != h {
			t.Errorf("%v: hint %q, setting %q; want %q, %q", c.err, h, s, c.hint, c.setting)
		}
	}
	if WithHint(nil, "h") != nil || WithSetting(nil, "s") != nil {
		t.Error("WithHint or WithSetting of nil is not nil")
	}
}

// TestMessageLeavesOutSystemCalls checks that Message omits the names of system calls.
func TestMessageLeavesOutSystemCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("a: %w", &fs.PathError{Op: "open", Path: "p", Err: syscall.ENOENT}), "a: p: " + syscall.ENOENT.Error()},
		{&fs.PathError{Op: "lstat", Path: "p", Err: syscall.EACCES}, "p: " + syscall.EACCES.Error()},
		{&fs.PathError{Op: "mkdir", Path: "p", Err: syscall.EACCES}, "mkdir p: " + syscall.EACCES.Error()},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: syscall.ECONNREFUSED}, "127.0.0.1:1: " + syscall.ECONNREFUSED.Error()},
	} {
		if got := Message(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
