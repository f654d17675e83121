package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/termsafe"
)

func (a *app) serveTokenCmd() *cobra.Command {
	var state, scopes, expires string
	cmd := &cobra.Command{Use: "token"}
	cmd.Short = "manage tokens for the API on the network"
	cmd.Long = `Make tokens for a spate serve with --api. The file api-tokens in the state directory
contains a name and a hash of each token, not the token. Without --state, this is the
directory of the installed service if this user has none; only root may change it.`
	cmd.Example = `  spate serve token add laptop
  spate serve token add phone --scope read,torrents --expires 90d
  SPATE_API_TOKEN=... spate list --api-url http://127.0.0.1:6970`
	stateFlag(cmd.PersistentFlags(), &state)
	open := func() (*apiTokens, error) { return a.openAPITokens(a.serveState(state)) }
	add := &cobra.Command{
		Use: "add NAME", Short: "print a new token", Args: need(1, 1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.apiTokenAdd(open, args[0], scopes, expires) },
	}
	add.Long = `Print a new token. Its holder may do what its scopes say:

  read      read everything, and the files of torrents
  torrents  add, change and remove torrents
  publish   publish uploads, and data in the directories of --browse and --download-dir;
            change and withdraw releases
  admin     everything`
	add.Flags().StringVar(&scopes, "scope", "admin", "allow what these `SCOPES` say, separated by commas")
	add.Flags().StringVar(&expires, "expires", "", "end after 90d or 12h, or on a day: `WHEN` (default: never)")
	cmd.AddCommand(add, &cobra.Command{
		Use: "list", Short: "print all tokens: name, scopes, end, last use", Args: need(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.apiTokenList(open) },
	}, &cobra.Command{
		Use: "revoke NAME", Short: "revoke all tokens of a name", Args: need(1, 1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return a.apiTokenRevoke(open, args[0]) },
	})
	return cmd
}

// apiTokens are the tokens of a state directory.
type apiTokens struct {
	*apitoken.Store
	dir string
}

func (a *app) openAPITokens(dir string) (*apiTokens, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := a.daemonEnv().OpenAPITokens(dir)
	if errors.Is(err, fs.ErrPermission) && dir == a.env.ServiceState {
		err = fault.WithHint(err, "run this with sudo")
	}
	return &apiTokens{s, dir}, err
}

// written gives the file of tokens to the owner of its directory, who must be able to read it, if
// root wrote it. err is the error of the write.
func (t *apiTokens) written(err error) error {
	if err != nil {
		return err
	}
	return filetrust.GiveToOwner(filepath.Join(t.dir, daemon.APITokensFile))
}

// apiTokenEvent is the JSON output of the verbs about tokens of the API.
type apiTokenEvent struct {
	User     string     `json:"user"`
	Token    string     `json:"token,omitempty"`
	Scopes   []string   `json:"scopes,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`   // absent: never
	LastUsed string     `json:"last_used,omitempty"` // the day, in UTC; absent: never
	Revoked  int        `json:"revoked,omitempty"`
}

func tokenEventOf(t *apitoken.Token) apiTokenEvent {
	e := apiTokenEvent{User: t.Name, Scopes: t.Scopes.Names()}
	if !t.Expires.IsZero() {
		e.Expires = &t.Expires
	}
	return e
}

func (a *app) apiTokenAdd(open func() (*apiTokens, error), name, scopes, expires string) error {
	allowed, err := apitoken.ParseScopes(scopes)
	if err != nil {
		return fault.Usagef("--scope: %w", err)
	}
	end, err := parseExpiry(expires, a.env.Now())
	if err != nil {
		return err
	}
	tokens, err := open()
	if err != nil {
		return err
	}
	secret, t, err := tokens.Issue(name, allowed, end)
	switch err = tokens.written(err); {
	case errors.Is(err, apitoken.ErrName):
		return fault.Usagef("%w", err)
	case errors.Is(err, apitoken.ErrFull):
		return fault.WithHint(err, "revoke some with spate serve token revoke NAME")
	case err != nil:
		return fault.WithHint(err, "choose another directory with --state DIR")
	}
	if a.JSON {
		e := tokenEventOf(&t)
		e.Token = secret
		return a.PrintJSON(e)
	}
	if err := a.Printf("%s\n", secret); err != nil {
		return err
	}
	a.Notef("%s sends it as SPATE_API_TOKEN with --api-url; it cannot be shown again", termsafe.Line(name))
	return nil
}

// maxExpiry limits the time for which a token is valid. A later end is a mistake.
const maxExpiry = 100 * 365 * 24 * time.Hour

// parseExpiry returns the time that a value of --expires means: a time from now, or a day, which the
// token is valid to the end of. An empty value is the zero time.
func parseExpiry(s string, now time.Time) (end time.Time, err error) {
	if s == "" {
		return end, nil
	}
	hint := "write a time such as 90d or 12h, or a day such as " + now.AddDate(0, 3, 0).Format(time.DateOnly)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return end, fault.UsageHint(hint, "--expires %q is no time", s)
		}
		end = now.AddDate(0, 0, int(n))
	} else if d, err := time.ParseDuration(s); err == nil {
		end = now.Add(d)
	} else if day, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		end = day.AddDate(0, 0, 1)
	} else if end, err = time.Parse(time.RFC3339, s); err != nil {
		return end, fault.UsageHint(hint, "--expires %q is no time", s)
	}
	if !end.After(now) {
		return end, fault.UsageHint(hint, "--expires %s is in the past", s)
	}
	if end.Sub(now) > maxExpiry {
		return end, fault.UsageHint(hint, "--expires %s is more than a century away", s)
	}
	return end, nil
}

func (a *app) apiTokenList(open func() (*apiTokens, error)) error {
	tokens, err := open()
	if err != nil {
		return err
	}
	uses := apitoken.OpenUses(filepath.Join(tokens.dir, daemon.APITokensUsedFile))
	users, list := []string{}, []apiTokenEvent{}
	for _, t := range tokens.List() {
		e := tokenEventOf(&t)
		e.LastUsed = uses.Day(t.ID)
		list = append(list, e)
		if len(users) == 0 || users[len(users)-1] != t.Name {
			users = append(users, t.Name)
		}
	}
	if a.JSON {
		return a.PrintJSON(struct {
			Users  []string        `json:"users"`
			Tokens []apiTokenEvent `json:"tokens"`
		}{users, list})
	}
	for i := range list {
		if err := a.Printf("%s\n", tokenLine(&list[i], a.env.Now())); err != nil {
			return err
		}
	}
	return nil
}

// tokenLine describes a token.
func tokenLine(e *apiTokenEvent, now time.Time) string {
	line := termsafe.Line(e.User) + "  " + strings.Join(e.Scopes, ",")
	switch {
	case e.Expires == nil:
	case e.Expires.After(now):
		line += "  until " + e.Expires.In(now.Location()).Format("2006-01-02 15:04")
	default:
		line += "  expired"
	}
	if e.LastUsed != "" {
		line += "  used " + e.LastUsed
	}
	return line
}

func (a *app) apiTokenRevoke(open func() (*apiTokens, error), name string) error {
	tokens, err := open()
	if err != nil {
		return err
	}
	n, err := tokens.Revoke(name)
	err = tokens.written(err)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fault.New(fault.NotFound, "spate serve token list shows the names", "%s has no token", termsafe.Line(name))
	case a.JSON:
		return a.PrintJSON(apiTokenEvent{User: name, Revoked: n})
	}
	a.Notef("revoked %d of %s", n, termsafe.Line(name))
	return nil
}
