package daemon

import "time"

// LinkPath is the path of the request for a link to the graphical client. Only the socket answers it.
const LinkPath = "/links"

// LinkRequest asks for a link that signs a browser in: POST /links.
type LinkRequest struct {
	Add     string `json:"add,omitempty"`     // a SOURCE for which the page opens the dialog to add it; a link
	Torrent []byte `json:"torrent,omitempty"` // a .torrent file for which it does
	// User is the user id of this machine whose browser may use the link; negative: any. Where the
	// system tells whose a connection is, others cannot use the link.
	User int `json:"user"`
}

// Link is the answer of POST /links.
type Link struct {
	URL     string    `json:"url"`     // signs in once
	Page    string    `json:"page"`    // the client, without signing in
	Expires time.Time `json:"expires"` // when the link ends unused
}
