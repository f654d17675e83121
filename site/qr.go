package site

import (
	"fmt"
	"net/http"
	"strings"

	"rsc.io/qr"
)

// qrCode answers /r/REF/qr.svg with a QR code of the address of the page, so that a visitor can open
// the page on a phone.
func (s *Site) qrCode(w http.ResponseWriter, r *http.Request) {
	ref := r.PathValue("name")
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	code, err := qr.Encode(s.absolute(s.base(r), s.pagePath(ownRef(rel, ref))), qr.L)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.picture(w, r, drawQR(code))
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
