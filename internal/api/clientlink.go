package api

import (
	"context"
	"net/http"

	"spate/internal/daemon"
)

// Link makes the daemon make a link that signs a browser in to its graphical client. Only the socket
// answers.
func (c *Client) Link(ctx context.Context, ask daemon.LinkRequest) (l daemon.Link, err error) {
	return l, c.call(ctx, http.MethodPost, daemon.LinkPath, ask, &l)
}
