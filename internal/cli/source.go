package cli

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/signature"
)

// sources returns a resolver for SOURCE arguments. Its connections come from bind if bind is
// valid.
func (a *app) sources(bind netip.Addr) *source.Resolver {
	return &source.Resolver{Stdin: a.Stdin, Bind: bind, Log: a.Log, Notef: a.Notef}
}

// checkSignature checks the signature of src according to --verify-key.
func (a *app) checkSignature(ctx context.Context, src *source.Source, verifyKey, state string, bind netip.Addr) error {
	if strings.EqualFold(verifyKey, "off") {
		return nil
	}
	trust := source.Trust{State: state}
	if verifyKey != "" {
		key, err := publicKeyOf(verifyKey, a.Warnf)
		if err != nil {
			return err
		}
		trust.Key = &key
	}
	return a.sources(bind).CheckSignature(ctx, src, trust)
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
