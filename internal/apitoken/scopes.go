// Package apitoken defines what the holders of tokens may do with a daemon, and keeps the tokens.
package apitoken

import (
	"fmt"
	"strings"
)

// Scopes is a set of things that a caller of a daemon may do. The zero Scopes allows nothing.
type Scopes uint8

// The scopes. No scope but Admin includes another.
const (
	Read     Scopes = 1 << iota // read everything, and the files of torrents
	Torrents                    // add, change and remove torrents
	Publish                     // publish, change and withdraw releases
	Admin                       // do everything, and what no other scope allows
)

// names are the names of the scopes, in the order in which they are listed.
var names = [...]struct {
	scope Scopes
	name  string
}{{Read, "read"}, {Torrents, "torrents"}, {Publish, "publish"}, {Admin, "admin"}}

// Has reports whether s allows everything that need allows.
func (s Scopes) Has(need Scopes) bool { return s&Admin != 0 || s&need == need }

// Names returns the names of the scopes in s.
func (s Scopes) Names() []string {
	list := []string{}
	for _, n := range names {
		if s&n.scope != 0 {
			list = append(list, n.name)
		}
	}
	return list
}

// String returns the names of the scopes in s, separated by commas.
func (s Scopes) String() string { return strings.Join(s.Names(), ",") }

// ParseScopes returns the scopes whose names are in list, separated by commas. It returns an error
// for an unknown name and for an empty list.
func ParseScopes(list string) (s Scopes, err error) {
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, n := range names {
			if n.name == strings.TrimSpace(name) {
				s |= n.scope
				continue next
			}
		}
		return 0, fmt.Errorf("there is no scope %q: the scopes are read, torrents, publish and admin", name)
	}
	return s, nil
}
