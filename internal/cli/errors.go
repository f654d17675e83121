package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"

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

// asUsage gives err the code of a usage error unless it has a code already.
func asUsage(err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return err
	}
	return &fault.Error{Code: fault.Usage, Err: err, Hint: "spate --help lists the verbs and their flags"}
}

// exitCodes maps the codes of errors to exit codes.
var exitCodes = map[fault.Code]int{
	fault.Failed: CodeFailed, fault.Usage: CodeUsage, fault.NotFound: CodeNotFound, fault.BadData: CodeBadData, fault.NoPeers: CodeNoPeers,
	fault.Network: CodeNetwork, fault.Interrupted: CodeInterrupted, fault.DiskFull: CodeDiskFull, fault.Exists: CodeExists,
}

// exitCode returns the exit code for err.
func exitCode(err error) int { return exitCodes[fault.CodeOf(err)] }

// settingHints says for the settings that errors name how to change them.
var settingHints = map[string]string{
	"exclude":       "--exclude leaves files out",
	"force":         "--force overwrites it, -o names another place",
	"hidden":        "hidden files count only with --hidden, and others only as --include and --exclude say",
	"state":         "choose another directory with --state DIR",
	"verify-key":    "--verify-key off fetches it all the same, unchecked",
	"password-file": "name a file with --password-file FILE",
}

// hintFor returns what can be done about err, or "".
func hintFor(err error) string {
	hint, setting := fault.AdviceOf(err)
	hints := []string{hint, settingHints[setting]}
	var key *source.KeyChangedError
	if errors.As(err, &key) {
		hints = append(hints, "if the publisher says that the key is new: the same command with --verify-key KEY, which is then remembered")
	}
	if hints = slices.DeleteFunc(hints, func(s string) bool { return s == "" }); len(hints) > 0 {
		return strings.Join(hints, "; ")
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room and run the same command again"
	case errors.Is(err, syscall.EMFILE):
		return "raise the limit of open files (ulimit -n)"
	case fault.IsUntrusted(err):
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
			a.Notef("interrupted; run the same command again to go on")
			return CodeInterrupted
		}
		a.Line("spate: interrupted")
		return CodeFailed
	}
	if msg := fault.Message(err); msg != "" {
		a.Line("spate: " + termsafe.Line(termsafe.Clip(msg, 600)))
		if hint := hintFor(err); hint != "" {
			a.Line("  " + termsafe.Line(termsafe.Clip(hint, 300)))
		}
	}
	return code
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
	return fault.UsageHint(cmd.CommandPath()+" --help lists the flags", "%w", err)
}

// killedCode is the exit code after a second signal.
func (a *app) killedCode() int {
	if a.resumable.Load() {
		return CodeInterrupted
	}
	return codeKilled
}
