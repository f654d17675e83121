package daemon

import (
	"path/filepath"
	"slices"

	"spate/internal/apitoken"
	"spate/internal/filetrust"
)

// Files of the API's tokens in the state directory.
const (
	APITokensFile     = "api-tokens"
	APITokensUsedFile = "api-tokens-used" // the days on which they were used last
)

// OpenAPITokens reads the tokens of the API in a state directory. It renames a damaged file and warns.
func (e *Env) OpenAPITokens(state string) (*apitoken.Store, error) {
	path := filepath.Join(state, APITokensFile)
	if err := filetrust.Check(path, filetrust.Power, e.Warnf); err != nil {
		return nil, err
	}
	s, damaged, err := apitoken.Open(path)
	if damaged != nil {
		e.Warnf("%v", damaged)
	}
	return s, err
}

// networkAccess returns who may control the daemon over the network: holders of a token.
func (d *Daemon) networkAccess() (APIAccess, error) {
	tokens, err := d.env.OpenAPITokens(d.conf.State)
	if err != nil {
		return APIAccess{}, err
	}
	uses := apitoken.OpenUses(filepath.Join(d.conf.State, APITokensUsedFile))
	access := func(find func() (apitoken.Token, bool)) (Access, bool) {
		if err := tokens.Reload(); err != nil { // for each request, because they change while the daemon runs
			d.env.Log.Error("the tokens of the API cannot be read: no token is accepted", "err", err)
			return Access{}, false
		}
		t, ok := find()
		if !ok {
			return Access{}, false
		}
		if err := uses.Note(t.ID, d.env.Now(), tokens.List()); err != nil {
			d.env.Log.Warn("the last use of a token was not written", "err", err)
		}
		return Access{Name: t.Name, ID: t.ID, Scopes: t.Scopes, Expires: t.Expires}, true
	}
	return APIAccess{
		Token: func(secret []byte) (Access, bool) {
			return access(func() (apitoken.Token, bool) { return tokens.Check(secret, d.env.Now()) })
		},
		TokenByID: func(id string) (Access, bool) {
			return access(func() (apitoken.Token, bool) { return tokens.ByID(id, d.env.Now()) })
		},
		Hosts: append(slices.Clone(d.conf.Site.Hosts), d.address.Load().base.Hostname()),
	}, nil
}
