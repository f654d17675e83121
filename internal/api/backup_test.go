package api

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"spate/internal/apitoken"
	"spate/internal/daemon"
)

// copier is a backend with a catalog of a text. It says that the catalog has size bytes.
type copier struct {
	fake
	text string
	size int64
}

func (c *copier) OpenBackup(context.Context) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(c.text)), c.size, nil
}

// TestReadBackup checks that a client gets the copy of the catalog, and an error if the copy is cut.
func TestReadBackup(t *testing.T) {
	t.Parallel()
	for size, whole := range map[int64]bool{7: true, 8: false} {
		s := httptest.NewServer(NewServer(&copier{text: "catalog", size: size}, ServerOptions{Access: daemon.APIAccess{Token: tokens("token", apitoken.Admin)}}))
		defer s.Close()
		c, err := NewRemote(s.URL, "token")
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := c.ReadBackup(t.Context(), &b); (err == nil) != whole || b.String() != "catalog" {
			t.Errorf("with %d bytes: got %q, %v", size, b.String(), err)
		}
	}
}
