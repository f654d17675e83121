package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/source"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/signature"
)

func (a *app) keysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "manage the keys that releases are signed with",
		Long: `Releases are signed with minisign keys: publish --sign KEY signs, and get verifies.
get records the key of a site when it first sees it, and refuses another key
later.`,
		Example: `  spate keys new
  spate publish --sign ~/.config/spate/minisign.key debian.iso
  spate keys list`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.UsageHint("spate keys --help lists them", "there is no verb %q of keys", args[0])
			}
			return fault.UsageHint("spate keys --help lists them", "keys needs a verb: new, list or forget")
		},
	}
	cmd.AddCommand(a.keysNewCmd(), a.keysListCmd(), a.keysForgetCmd())
	return cmd
}

func (a *app) keysNewCmd() *cobra.Command {
	var pw passwordFlags
	cmd := &cobra.Command{
		Use:   "new [FILE]",
		Short: "make a key to sign with",
		Long: `Make a minisign key: the secret key in FILE (default minisign.key in
~/.config/spate), which only you can read, and the public key beside it. With
--password the file is useless without the password.`,
		Example: `  spate keys new
  spate keys new --password release.key`,
		Args: need(0, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := filepath.Join(a.configDir(), "minisign.key")
			if len(args) > 0 {
				path = args[0]
			}
			return a.keysNew(cmd.Context(), path, &pw)
		},
	}
	cmd.Flags().BoolVar(&pw.ask, "password", false, "protect the key with a password")
	cmd.Flags().StringVar(&pw.file, "password-file", "", "read the password from the first line of `FILE`")
	return cmd
}

// keyMade is the JSON output of keys new.
type keyMade struct {
	KeyFile    string `json:"key_file"`
	PublicFile string `json:"public_key_file"`
	PublicKey  string `json:"public_key"`
	KeyID      string `json:"key_id"`
}

func (a *app) keysNew(ctx context.Context, path string, pw *passwordFlags) error {
	public := atomicfile.Derived(strings.TrimSuffix(path, ".key"), ".pub")
	for _, p := range []string{path, public} {
		if _, err := os.Lstat(p); err == nil {
			return fault.New(fault.Exists, "name another FILE: keys are never overwritten", "%s exists already", p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := atomicfile.ProbeNew(filepath.Dir(path)); err != nil {
		return fault.WithHint(err, "name a FILE in another directory")
	}
	password, err := pw.new(ctx, a)
	if err != nil {
		return err
	}
	key, err := signature.NewKey()
	if err != nil {
		return err
	}
	secret, err := key.File(password)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := writeNew(path, secret, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, key.Public().File(), 0o644); err != nil {
		os.Remove(path)
		return err
	}
	made := keyMade{path, public, key.Public().String(), key.Public().ID()}
	if a.JSON {
		return a.PrintJSON(made)
	}
	if err := a.Printf("%s\n", made.PublicKey); err != nil {
		return err
	}
	a.Notef("the secret key is in %s; keep a copy that only you can read", path)
	a.Notef("sign with:  spate publish --sign %s FILE", term.ShellWord(path))
	a.Notef("publish the public key above in more places than the site; %s contains it too", public)
	return nil
}

// writeNew creates a file with the content b. It returns an error if the file exists.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Exists, "name another FILE: keys are never overwritten", "%s exists already", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func (a *app) keysListCmd() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the keys of sites",
		Long:  `List the sites whose keys are recorded, and the key that each site must sign with.`,
		Args:  need(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			known, err := source.OpenKnown(a.stateDir(state), a.Warnf)
			if err != nil {
				return err
			}
			for _, site := range known.Sites() {
				key, _ := known.Key(site)
				if a.JSON {
					err = a.PrintJSON(map[string]string{"site": site, "public_key": key.String()})
				} else {
					err = a.Printf("%s  %s\n", key, termsafe.Line(site))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	stateFlag(cmd.Flags(), &state)
	return cmd
}

func (a *app) keysForgetCmd() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:   "forget SITE",
		Short: "forget the key of a site",
		Long: `Forget the key of a site, as keys list writes it, and which releases were its
newest: the next ones that it shows are remembered.`,
		Example: `  spate keys forget files.example.org:6969`,
		Args:    need(1, 1, "a SITE"),
		RunE: func(_ *cobra.Command, args []string) error {
			known, err := source.OpenKnown(a.stateDir(state), a.Warnf)
			if err != nil {
				return err
			}
			if _, ok := known.Key(args[0]); !ok {
				return fault.New(fault.NotFound, "spate keys list shows them", "no key is stored for %s", args[0])
			}
			seen, err := source.OpenSeen(a.stateDir(state), a.Warnf)
			if err != nil {
				return err
			}
			return errors.Join(known.Forget(args[0]), seen.Forget(args[0]))
		},
	}
	stateFlag(cmd.Flags(), &state)
	return cmd
}

// signingKey reads the secret minisign key in the file at path.
func (a *app) signingKey(ctx context.Context, path string, pw *passwordFlags) (*signature.Key, error) {
	file, err := a.secretKeyFile(path)
	if err != nil {
		return nil, err
	}
	return a.parseSigningKey(ctx, path, file, pw)
}

// secretKeyFile returns the content of the file of a secret key.
func (a *app) secretKeyFile(path string) ([]byte, error) {
	file, err := filetrust.Read(path, signature.MaxKey, filetrust.Secret, a.Warnf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "spate keys new makes one", "there is no key %s", path)
	}
	return file, err
}

// parseSigningKey parses the secret minisign key in file, the content of the file at path. If the
// key has a password, it comes from pw or from the terminal.
func (a *app) parseSigningKey(ctx context.Context, path string, file []byte, pw *passwordFlags) (*signature.Key, error) {
	var password string
	var err error
	if signature.Protected(file) {
		if password, err = pw.old(ctx, a, path); err != nil {
			return nil, err
		}
	}
	key, err := signature.ParseKey(file, password)
	if err != nil {
		hint := "give the secret key, because the public key cannot sign"
		if errors.Is(err, signature.ErrPassword) {
			hint = ""
		}
		return nil, fault.WithHint(fmt.Errorf("%s: %w", path, err), hint)
	}
	return key, nil
}

// signFlags are the flags of verbs that sign.
type signFlags struct {
	path     string
	password passwordFlags
}

func (s *signFlags) add(f *pflag.FlagSet) {
	f.StringVar(&s.path, "sign", "", "sign with the minisign key in this `FILE`")
	f.StringVar(&s.password.file, "password-file", "", "read the key's password from the first line of `FILE`")
}

// key returns the key to sign with, or nil.
func (s *signFlags) key(ctx context.Context, a *app) (*signature.Key, error) {
	if s.path == "" {
		return nil, nil
	}
	return a.signingKey(ctx, s.path, &s.password)
}

// passwordFlags are the flags for the source of a key's password.
type passwordFlags struct {
	ask  bool
	file string
}

// new returns the password of a new key, or "" for none.
func (p *passwordFlags) new(ctx context.Context, a *app) (string, error) {
	if p.file != "" {
		return a.passwordIn(p.file)
	}
	if !p.ask {
		return "", nil
	}
	first, err := a.AskPassword(ctx, "Password of the new key: ")
	if err != nil {
		return "", err
	}
	again, err := a.AskPassword(ctx, "Once more: ")
	switch {
	case err != nil:
		return "", err
	case first != again:
		return "", fault.Usagef("the two passwords are not the same")
	case first == "":
		return "", fault.UsageHint("leave out --password for a key without a password", "the password is empty")
	}
	return first, nil
}

// old returns the password of the key at path.
func (p *passwordFlags) old(ctx context.Context, a *app, path string) (string, error) {
	if p.file != "" {
		return a.passwordIn(p.file)
	}
	return a.AskPassword(ctx, "Password of "+termsafe.Line(path)+": ")
}

// passwordIn returns the first line of the file at path.
func (a *app) passwordIn(path string) (string, error) {
	b, err := filetrust.Read(path, 4<<10, filetrust.Secret, a.Warnf)
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSuffix(line, "\r")
	if err == nil && line == "" {
		err = fault.Usagef("the first line of %s is empty, and must be the password", path)
	}
	return line, err
}
