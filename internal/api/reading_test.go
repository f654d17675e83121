package api

import (
	"strings"
	"testing"

	"spate/internal/apitoken"
)

// TestReadingRoutesOnlyRead checks that requests with a method that changes nothing need at most the scope to
// read, so that none of them is one that changes something: browsers send them for any page. A copy of the
// catalog and the list of a directory are for administrators, because they contain more than the other
// answers. The kinds of failures need no scope.
func TestReadingRoutesOnlyRead(t *testing.T) {
	t.Parallel()
	for pattern, route := range NewServer(&fake{}, ServerOptions{}).routes() {
		method, path, ok := strings.Cut(pattern, " ")
		if ok && method == "GET" && route.scope&^apitoken.Read != 0 && path != "/v1/backup" && path != "/v1/browse" {
			t.Errorf("%s needs the scope %v", pattern, route.scope)
		}
	}
}
