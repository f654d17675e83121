package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/tracker/trackerserver"
)

// tokensFile is the default of --tokens, in the state directory.
const tokensFile = "tokens"

func (a *app) trackerTokenCmd() *cobra.Command {
	var file, state string
	open := func() (*trackerserver.Tokens, error) {
		if file == "" {
			dir := a.stateDir(state)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, err
			}
			file = filepath.Join(dir, tokensFile)
		}
		return trackerserver.OpenTokens(file)
	}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "give users announce URLs of their own, and take them back",
		Long: `Give users announce URLs of their own. The file has a hash of each token, not the
token. A tracker that runs sees what changes at once; with --require-token
it refuses requests without one.`,
		Example: `  spate tracker token add alice
  spate tracker token list
  spate tracker token revoke alice`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&file, "tokens", "", "the users' `FILE` (default: tokens in --state)")
	stateFlag(f, &state)
	cmd.AddCommand(&cobra.Command{
		Use: "add USER", Short: "print a new token of a user", Args: need(1, 1, "the user's name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.tokenAdd(open, args[0]) },
	}, &cobra.Command{
		Use: "list", Short: "print the names of the users", Args: need(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.tokenList(open) },
	}, &cobra.Command{
		Use: "revoke USER", Short: "take back all tokens of a user", Args: need(1, 1, "the user's name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.tokenRevoke(open, args[0]) },
	})
	return cmd
}

// tokenEvent is what token add and token revoke print with --json.
type tokenEvent struct {
	User    string `json:"user"`
	Token   string `json:"token,omitempty"`
	Path    string `json:"path,omitempty"` // of the announce URL
	Revoked int    `json:"revoked,omitempty"`
}

func (a *app) tokenAdd(open func() (*trackerserver.Tokens, error), user string) error {
	t, err := open()
	if err != nil {
		return err
	}
	token, err := t.Issue(user)
	switch {
	case errors.Is(err, trackerserver.ErrTokenName):
		return usagef("%w", err)
	case err != nil:
		return hinted(err, "choose another directory with --state DIR, or file with --tokens FILE")
	}
	path := "/announce/" + token
	if a.json {
		return a.printJSON(tokenEvent{User: user, Token: token, Path: path})
	}
	if err := a.printf("%s\n", token); err != nil {
		return err
	}
	a.notef("%s announces to http://HOST:PORT%s; it cannot be shown again", escape(user), path)
	return nil
}

func (a *app) tokenList(open func() (*trackerserver.Tokens, error)) error {
	t, err := open()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Users []string `json:"users"`
		}{append([]string{}, t.Users()...)})
	}
	for _, u := range t.Users() {
		if err := a.printf("%s\n", escape(u)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) tokenRevoke(open func() (*trackerserver.Tokens, error), user string) error {
	t, err := open()
	if err != nil {
		return err
	}
	n, err := t.Revoke(user)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fail(CodeNotFound, "spate tracker token list shows the users", "no user %s has a token", escape(user))
	case a.json:
		return a.printJSON(tokenEvent{User: user, Revoked: n})
	}
	a.notef("revoked %d of %s", n, escape(user))
	return nil
}
