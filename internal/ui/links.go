package ui

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"spate/internal/daemon"
)

// maxAdd limits the length of a source in a link, in bytes.
const maxAdd = 64 << 10

// SocketHandler returns a handler for the socket of the daemon, which makes links and passes other
// requests on to answer. base returns the URL of a listener that serves [Client.Handler], without a
// slash at its end.
func (c *Client) SocketHandler(base func(context.Context) (string, error), answer http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+daemon.LinkPath, func(w http.ResponseWriter, r *http.Request) { c.link(w, r, base) })
	mux.Handle("/", answer)
	return mux
}

// link answers POST /links.
func (c *Client) link(w http.ResponseWriter, r *http.Request, base func(context.Context) (string, error)) {
	ask := daemon.LinkRequest{User: -1}
	const limit = maxOffer*4/3 + maxAdd + 1024 // base64
	if err := json.NewDecoder(io.LimitReader(r.Body, limit)).Decode(&ask); err != nil {
		fail(w, http.StatusBadRequest, "bad_request", "the request: "+err.Error(), "")
		return
	}
	if len(ask.Add) > maxAdd || len(ask.Torrent) > maxOffer || ask.Add != "" && len(ask.Torrent) > 0 {
		fail(w, http.StatusBadRequest, "bad_request", "the source is longer than the client takes", "add it with spate add")
		return
	}
	page, err := base(r.Context())
	if err != nil {
		fail(w, http.StatusInternalServerError, "failed", "the client cannot be served: "+err.Error(), "")
		return
	}
	add := ask.Add
	if len(ask.Torrent) > 0 {
		id, err := c.sessions.newOffer(ask.Torrent)
		if err != nil {
			fail(w, http.StatusTooManyRequests, "failed", err.Error(), "")
			return
		}
		add = "offer:" + id
	}
	once, expires, err := c.sessions.newCode(ask.User)
	if err != nil {
		fail(w, http.StatusTooManyRequests, "failed", err.Error(), "")
		return
	}
	to := page + "/#once=" + once
	if add != "" {
		to += "&add=" + strings.ReplaceAll(url.QueryEscape(add), "+", "%20")
	}
	send(w, daemon.Link{URL: to, Page: page + "/", Expires: expires.UTC()})
}
