package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes of the contract.
const (
	CodeFailed      = 1  // anything without a code of its own
	CodeUsage       = 2  // the command line, a variable or the settings file
	CodeNotFound    = 3  // a file, a page or a torrent that is not there
	CodeBadData     = 4  // hash or signature mismatch, malformed torrent
	CodeNoPeers     = 5  // no peers, or timed out
	CodeNetwork     = 6  // the network, or an address that cannot be had
	CodeInterrupted = 7  // stopped by a signal; the same command goes on
	CodeDiskFull    = 9  // no room
	CodeExists      = 13 // the target exists

	codeKilled = 130 // a second signal, for what cannot be resumed
)

// Error is an error with its exit code and what the person can do about it.
type Error struct {
	Code int    // 0: told by Err
	Err  error  // nil: everything was said already
	Hint string // one line, or empty
}

func (e *Error) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// fail returns an error with an exit code and a hint; the format may wrap.
func fail(code int, hint, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// hinted adds a hint to err and leaves its exit code as it is.
func hinted(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Hint: hint}
}

func usagef(format string, args ...any) error { return fail(CodeUsage, "", format, args...) }

func usageHint(hint, format string, args ...any) error {
	return fail(CodeUsage, hint, format, args...)
}

// asUsage gives err the code of a usage error unless it has a code already.
func asUsage(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Code: CodeUsage, Err: err, Hint: "spate --help lists the verbs and their flags"}
}

// exitCode returns the exit code for err: the outermost code in its chain, else
// what the kind of the error says.
func exitCode(err error) int {
	for e := err; e != nil; {
		var c *Error
		if !errors.As(e, &c) {
			break
		}
		if c.Code != 0 {
			return c.Code
		}
		e = c.Err
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return CodeDiskFull
	case isBadData(err):
		return CodeBadData
	case errors.Is(err, fs.ErrNotExist):
		return CodeNotFound
	case errors.Is(err, fs.ErrExist):
		return CodeExists
	case errors.Is(err, context.DeadlineExceeded):
		return CodeNoPeers
	case isNetwork(err):
		return CodeNetwork
	}
	return CodeFailed
}

// isNetwork reports errors of connections, names and addresses. It looks for
// types, because every errno of a file system is a net.Error too.
func isNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var u *url.Error
	var header tls.RecordHeaderError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &u) || errors.As(err, &header) || isUntrusted(err) ||
		errors.Is(err, syscall.EADDRINUSE)
}

// isUntrusted reports that a certificate could not be verified.
func isUntrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// hintFor returns what can be done about err, or "".
func hintFor(err error) string {
	for e := err; e != nil; {
		var c *Error
		if !errors.As(e, &c) {
			break
		}
		if c.Hint != "" {
			return c.Hint
		}
		e = c.Err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room and run the same command again"
	case errors.Is(err, syscall.EMFILE):
		return "raise the limit of open files (ulimit -n)"
	case isUntrusted(err):
		return "is it for another name, expired, or one of your own? SSL_CERT_FILE names a file of those to trust"
	}
	return ""
}

// report tells the person what failed, in one line or two, and returns the exit
// code.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code := exitCode(err)
	if errors.Is(err, context.Canceled) && code == CodeFailed {
		if a.resumable.Load() {
			a.notef("interrupted; run the same command again to go on")
			return CodeInterrupted
		}
		a.console.line("spate: interrupted")
		return CodeFailed
	}
	if msg := message(err); msg != "" {
		a.console.line("spate: " + escape(clip(msg, 600)))
		if hint := hintFor(err); hint != "" {
			a.console.line("  " + escape(clip(hint, 300)))
		}
	}
	return code
}

// message is the text of err, without the names of system calls in front of
// paths and addresses.
func message(err error) string {
	msg := err.Error()
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil && op.Err != nil {
		why := op.Err
		var call *os.SyscallError
		if errors.As(why, &call) {
			why = call.Err
		}
		msg = strings.Replace(msg, op.Error(), op.Addr.String()+": "+why.Error(), 1)
	}
	var p *fs.PathError
	if errors.As(err, &p) && (p.Op == "open" || strings.HasSuffix(p.Op, "stat")) {
		msg = strings.Replace(msg, p.Error(), p.Path+": "+p.Err.Error(), 1)
	}
	return msg
}

// flagError says what is wrong with the value of a flag.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		name, cause := bad.GetFlag().Name, bad.Unwrap()
		var num *strconv.NumError
		if errors.As(err, &num) {
			cause = fmt.Errorf("%q is not a number for it", num.Num)
		}
		err = fmt.Errorf("--%s: %w", name, cause)
	}
	return usageHint(cmd.CommandPath()+" --help lists the flags", "%w", err)
}

// killedCode is the exit code after a second signal.
func (a *app) killedCode() int {
	if a.resumable.Load() {
		return CodeInterrupted
	}
	return codeKilled
}

// clip cuts s to about n bytes, in the middle: both ends of a message tell.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n/2], "") + " … " + strings.ToValidUTF8(s[len(s)-n/2:], "")
}
