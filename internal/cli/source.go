package cli

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/signature"
)

// sources returns a resolver for SOURCE arguments. Its connections come from bind if bind is
// valid.
func (a *app) sources(bind netip.Addr) *source.Resolver {
	return &source.Resolver{Stdin: a.Stdin, Bind: bind, Proxy: a.out.Chooser(), Log: a.Log, Notef: a.Notef}
}

// sourceFlags are the flags of the verbs that take a SOURCE.
type sourceFlags struct {
	bind  addrValue
	key   string // --verify-key
	state string
	// readOnly says that the verb only looks at the torrent, and stores no keys.
	readOnly bool
}

func (o *sourceFlags) add(f *pflag.FlagSet) {
	bindFlag(f, &o.bind)
	stateFlag(f, &o.state)
	verifyKeyFlag(f, &o.key)
}

func verifyKeyFlag(f *pflag.FlagSet, v *string) {
	f.StringVar(v, "verify-key", "", "accept only this minisign `KEY` or key file; off: unchecked")
}

// keyGiven reports whether the value of --verify-key is a key, so that local files are checked too.
func keyGiven(value string) bool { return value != "" && !strings.EqualFold(value, "off") }

// resolve finds the torrent of a SOURCE and checks its signature.
func (a *app) resolve(ctx context.Context, arg string, o *sourceFlags) (*source.Source, error) {
	src, err := a.sources(o.bind.Addr).Resolve(ctx, arg)
	if err != nil {
		return nil, err
	}
	return src, a.checkSignature(ctx, src, o)
}

// resolveTorrent is resolve for a verb that needs the .torrent itself.
func (a *app) resolveTorrent(ctx context.Context, verb, arg string, o *sourceFlags) (*source.Source, error) {
	src, err := a.resolve(ctx, arg, o)
	if err != nil {
		return nil, err
	}
	return src, a.sources(o.bind.Addr).NeedTorrent(ctx, verb, src)
}

// checkSignature checks the signature of src according to --verify-key.
func (a *app) checkSignature(ctx context.Context, src *source.Source, o *sourceFlags) error {
	if strings.EqualFold(o.key, "off") {
		return nil
	}
	trust := source.Trust{State: a.stateDir(o.state), ReadOnly: o.readOnly}
	if o.key != "" {
		key, err := publicKeyOf(o.key, a.Warnf)
		if err != nil {
			return err
		}
		trust.Key = &key
	}
	return a.sources(o.bind.Addr).CheckSignature(ctx, src, trust)
}

// publicKeyOf returns the key of --verify-key, whose value is a key or a file with a key.
func publicKeyOf(value string, warn filetrust.Warn) (signature.PublicKey, error) {
	key, err := signature.ParsePublicKey(value)
	if err == nil {
		return key, nil
	}
	text, ferr := filetrust.Read(value, signature.MaxKey, filetrust.Power, warn)
	if errors.Is(ferr, fs.ErrNotExist) {
		return key, fault.UsageHint("write the 56 characters that begin with RW, or the file that has them", "--verify-key %s is neither a minisign key nor a file", termsafe.Clip(value, 70))
	}
	if ferr == nil {
		key, ferr = signature.ParsePublicKey(string(text))
	}
	if ferr != nil {
		return key, fault.Usagef("--verify-key %s: %w", value, ferr)
	}
	return key, nil
}

// dataPaths returns the paths of files and directories in args, for a verb that does not read
// standard input.
func dataPaths(verb string, args []string) (paths []string, err error) {
	for _, arg := range args {
		path, err := source.DataPath(verb, arg)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(path); path == "-" && err != nil {
			return nil, fault.Usagef("%s takes a file or a directory, not standard input", verb)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
