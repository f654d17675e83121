package api

import (
	"strings"
	"testing"

	"spate/internal/apitoken"
)

// TestReadingRoutesOnlyRead checks that requests with a method that changes nothing need only the scope to
// read, so that none of them is one that changes something: browsers send them for any page. A copy of the
// catalog is for administrators, because it contains more than the other answers.
func TestReadingRoutesOnlyRead(t *testing.T) {
	t.Parallel()
	for pattern, route := range NewServer(&fake{}, ServerOptions{}).routes() {
		method, path, ok := strings.Cut(pattern, " ")
		if ok && method == "GET" && route.scope != apitoken.Read && path != "/v1/backup" {
			t.Errorf("%s needs the scope %v", pattern, route.scope)
		}
	}
}
