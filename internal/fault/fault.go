// Package fault gives errors a code, which says what kind of failure happened, and a
// hint, which says what to do about it. The command line turns codes into exit codes, the
// API turns them into its own codes.
//
// A hint in this package names no flag: it has to make sense to every caller. Set
// [Error.Setting] instead, and the caller says how that setting is changed.
package fault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"spate/bencode"
	"spate/internal/sockerr"
	"spate/metainfo"
)

// Code is a kind of failure.
type Code uint8

// The codes. An [Error] with Unset has the code of the wrapped error.
const (
	Unset       Code = iota
	Failed           // all other failures
	Usage            // a wrong argument, setting or request
	NotFound         // a file, page, release or torrent does not exist
	BadData          // malformed data, or data that does not match its hash or signature
	NoPeers          // no peers, or a time limit has passed
	Network          // a connection, a name, or a local address that cannot be used
	Interrupted      // a signal stopped the work, which can be resumed
	DiskFull         // no space left
	Exists           // the target exists
)

// Error is an error with a code and a hint.
type Error struct {
	Code    Code
	Err     error  // nil if the failure was already reported
	Hint    string // what the user can do, on one line; may be empty
	Setting string // the setting that the user can change, named like its flag: "listen"; may be empty
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error with a code and a hint. The format may wrap an error with %w.
func New(code Code, hint, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Usagef returns an error with the code [Usage].
func Usagef(format string, args ...any) error { return New(Usage, "", format, args...) }

// UsageHint returns an error with the code [Usage] and a hint.
func UsageHint(hint, format string, args ...any) error { return New(Usage, hint, format, args...) }

// WithHint replaces the hint and the setting of err and keeps its code. It returns nil if
// err is nil.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Hint: hint}
}

// WithSetting names the setting that can be changed to avoid err. It keeps the code and
// the hint of err, and returns nil if err is nil.
func WithSetting(err error, setting string) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Hint: HintOf(err), Setting: setting}
}

// each calls f with the [Error] values in the chain of err, outermost first, until f
// returns true.
func each(err error, f func(*Error) bool) {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) || f(e) {
			return
		}
		err = e.Err
	}
}

// CodeOf returns the outermost code in the chain of err. If there is none, it returns the code
// for the type of err, or [Unset] if err is nil.
func CodeOf(err error) (code Code) {
	each(err, func(e *Error) bool {
		code = e.Code
		return code != Unset
	})
	switch {
	case code != Unset, err == nil:
		return code
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	case isBadData(err):
		return BadData
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrExist):
		return Exists
	case errors.Is(err, context.DeadlineExceeded):
		return NoPeers
	case isNetwork(err):
		return Network
	}
	return Failed
}

// CodeOr returns the code of err, or code if the code of err is [Failed].
func CodeOr(err error, code Code) Code {
	if c := CodeOf(err); c != Failed {
		return c
	}
	return code
}

// HintOf returns the hint of [AdviceOf].
func HintOf(err error) string {
	hint, _ := AdviceOf(err)
	return hint
}

// AdviceOf returns the hint and the setting of the outermost [Error] in the chain of err
// that has one of them.
func AdviceOf(err error) (hint, setting string) {
	each(err, func(e *Error) bool {
		hint, setting = e.Hint, e.Setting
		return hint != "" || setting != ""
	})
	return hint, setting
}

// isBadData reports whether err is about a malformed torrent, magnet link or bencoding.
func isBadData(err error) bool {
	var torrent *metainfo.Error
	var syntax *bencode.SyntaxError
	return errors.Is(err, metainfo.ErrBadMagnet) || errors.As(err, &torrent) || errors.As(err, &syntax)
}

// isNetwork reports whether err is about a connection, a name or an address. It looks for
// concrete types, because every errno of a file system is a net.Error too.
func isNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var u *url.Error
	var header tls.RecordHeaderError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &u) || errors.As(err, &header) || IsUntrusted(err) ||
		sockerr.Is(err, syscall.EADDRINUSE)
}

// IsUntrusted reports whether err says that a certificate could not be verified.
func IsUntrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// Message returns the text of err without the names of system calls in front of paths
// and addresses.
func Message(err error) string {
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

// Quiet wraps err in an error with an empty text. Use it with %w where a better text
// replaces the text of err.
func Quiet(err error) error { return quiet{err} }

type quiet struct{ err error }

// Error implements error.
func (q quiet) Error() string { return "" }

// Unwrap returns the wrapped error.
func (q quiet) Unwrap() error { return q.err }
