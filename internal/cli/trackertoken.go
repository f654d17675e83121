package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/termsafe"
	"spate/tracker/trackerserver"
)

func (a *app) trackerTokenCmd() *cobra.Command {
	cmd := a.tokenCmd()
	cmd.Short = "manage announce URLs of users"
	cmd.Long = `Give users announce URLs with tokens. The file contains a hash of each token, not
the token. A running tracker uses a changed file at once. With --require-token it
refuses requests without a token.`
	cmd.Example = `  spate tracker token add alice
  spate tracker token list
  spate tracker token revoke alice`
	return cmd
}

// tokenStore opens and changes the tokens of a verb.
type tokenStore struct {
	*trackerserver.Tokens
	path string // "" if the user named the file
}

// written gives a file in the state directory to the owner of the directory, who must be able to read
// it, if root wrote it. err is the error of the write.
func (t *tokenStore) written(err error) error {
	if err != nil || t.path == "" {
		return err
	}
	return filetrust.GiveToOwner(t.path)
}

// tokenCmd returns a verb that manages the tokens in a file of the state directory, or in the file
// of --tokens.
func (a *app) tokenCmd() *cobra.Command {
	var file, state string
	open := func() (*tokenStore, error) {
		dir := a.stateDir(state)
		t := &tokenStore{}
		if file == "" {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, err
			}
			t.path = filepath.Join(dir, daemon.TokensFile)
		}
		var err error
		t.Tokens, err = a.daemonEnv().OpenTokens(dir, daemon.TokensFile, file)
		return t, err
	}
	cmd := &cobra.Command{Use: "token"}
	f := cmd.PersistentFlags()
	f.StringVar(&file, "tokens", "", "keep the tokens in this `FILE` (default: tokens in --state)")
	stateFlag(f, &state)
	cmd.AddCommand(&cobra.Command{
		Use: "add USER", Short: "print a new token", Args: need(1, 1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.tokenAdd(open, args[0]) },
	}, &cobra.Command{
		Use: "list", Short: "print the names that have tokens", Args: need(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.tokenList(open) },
	}, &cobra.Command{
		Use: "revoke USER", Short: "revoke all tokens of a name", Args: need(1, 1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.tokenRevoke(open, args[0], cmd) },
	})
	return cmd
}

// tokenEvent is the JSON output of token add and token revoke.
type tokenEvent struct {
	User    string `json:"user"`
	Token   string `json:"token,omitempty"`
	Path    string `json:"path,omitempty"` // path of the announce URL
	Revoked int    `json:"revoked,omitempty"`
}

func (a *app) tokenAdd(open func() (*tokenStore, error), user string) error {
	t, err := open()
	if err != nil {
		return err
	}
	token, err := t.Issue(user)
	err = t.written(err)
	switch {
	case errors.Is(err, trackerserver.ErrTokenName):
		return fault.Usagef("%w", err)
	case err != nil:
		return fault.WithHint(err, "choose another directory with --state DIR, or file with --tokens FILE")
	}
	path := "/announce/" + token
	if a.JSON {
		return a.PrintJSON(tokenEvent{User: user, Token: token, Path: path})
	}
	if err := a.Printf("%s\n", token); err != nil {
		return err
	}
	a.Notef("%s announces to http://HOST:PORT%s; it cannot be shown again", termsafe.Line(user), path)
	return nil
}

func (a *app) tokenList(open func() (*tokenStore, error)) error {
	t, err := open()
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(struct {
			Users []string `json:"users"`
		}{append([]string{}, t.Users()...)})
	}
	for _, u := range t.Users() {
		if err := a.Printf("%s\n", termsafe.Line(u)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) tokenRevoke(open func() (*tokenStore, error), user string, cmd *cobra.Command) error {
	t, err := open()
	if err != nil {
		return err
	}
	n, err := t.Revoke(user)
	err = t.written(err)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fault.New(fault.NotFound, cmd.CommandPath()+" list shows the names", "%s has no token", termsafe.Line(user))
	case a.JSON:
		return a.PrintJSON(tokenEvent{User: user, Revoked: n})
	}
	a.Notef("revoked %d of %s", n, termsafe.Line(user))
	return nil
}
