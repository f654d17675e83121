package site

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"spate/internal/units"
)

// badge answers /r/REF/badge.svg with a small picture for other web pages. It shows the size
// and the number of seeds.
func (s *Site) badge(w http.ResponseWriter, r *http.Request) {
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	right := units.Bytes(rel.Size)
	if n := s.numbers(r.Context(), rel); n.Known {
		right += " · " + units.Plural(n.Seeds, "seed")
	}
	s.picture(w, r, drawBadge("torrent", right))
}

// drawBadge draws two texts side by side. It fits each text to the estimated width of its
// box, whatever the font is.
func drawBadge(left, right string) string {
	width := func(s string) int { return utf8.RuneCountInString(s) * 13 / 2 }
	l, r := width(left)+14, width(right)+14
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[4]s: %[5]s">`+
		`<path fill="#0a6870" d="M4 0H%[2]dv20H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z"/>`+
		`<path fill="#06363c" d="M%[2]d 0h%[3]da4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-%[3]dz"/>`+
		`<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">`+
		`<text x="%[6]d" y="14" textLength="%[7]d">%[4]s</text><text x="%[8]d" y="14" textLength="%[9]d">%[5]s</text></g></svg>`,
		l+r, l, r-4, left, right, l/2, l-14, l+r/2, r-14)
}
