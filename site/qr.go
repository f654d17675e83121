package site

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rsc.io/qr"

	"spate/publish"
)

// qrCode answers /r/REF/qr.svg with a QR code of the magnet link.
func (s *Site) qrCode(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	code, err := qr.Encode(shortMagnet(rel), qr.L)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.picture(w, r, drawQR(code))
}

// shortMagnet returns a short magnet link, because a QR code with less data is easier to
// read with a camera. The link has one info-hash, one tracker, and the name if it is short.
func shortMagnet(rel *publish.Release) string {
	link := "magnet:?xt=urn:btih:" + rel.HashV1.String()
	if rel.HashV1.IsZero() {
		link = "magnet:?xt=urn:btmh:1220" + rel.HashV2.String()
	}
	if name := strings.ReplaceAll(url.QueryEscape(rel.Name), "+", "%20"); len(name) <= 80 {
		link += "&dn=" + name
	}
	if len(rel.Announce) > 0 && len(rel.Announce[0]) > 0 {
		if tracker := url.QueryEscape(rel.Announce[0][0]); len(tracker) <= 300 {
			link += "&tr=" + tracker
		}
	}
	return link
}

// drawQR draws code as an SVG path of horizontal lines. It is black on white in every theme,
// and has the margin of four modules that readers need.
func drawQR(code *qr.Code) string {
	const margin = 4
	var b strings.Builder
	side := code.Size + 2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, side, side)
	fmt.Fprintf(&b, `<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+margin, y+margin, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}
