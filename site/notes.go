package site

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Notes are Markdown from an untrusted author. The site removes HTML and all links except
// for web, mail and magnet links and links within the page. It replaces pictures by links.
// It also replaces characters that reorder or hide text by visible ones, like in names.

// maxNotes is the maximum size of the notes on a page, in bytes of HTML. If the notes are
// longer, the page has a link to the complete text.
const maxNotes = 14_000

// notesMarkdown returns the converter for notes: CommonMark with tables, strikethrough and
// bare links.
func notesMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(tamer{}, 500))),
	)
}

// tamer makes a document of notes safe for a page.
type tamer struct{}

// Transform implements [parser.ASTTransformer].
func (tamer) Transform(doc *ast.Document, source text.Reader, _ parser.Context) {
	var pictures []*ast.Image
	var elsewhere []*ast.AutoLink
	ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+2, 6) // below the headings of the page
			if prev := n.PreviousSibling(); prev == nil {
				n.Level = 3
			}
		case *ast.Image:
			pictures = append(pictures, n)
		case *ast.Link:
			n.Destination = webOnly(n.Destination)
			n.SetAttributeString("rel", []byte("nofollow noopener"))
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL && webOnly(n.URL(source.Source())) == nil {
				elsewhere = append(elsewhere, n)
			}
			n.SetAttributeString("rel", []byte("nofollow noopener"))
		}
		return ast.WalkContinue, nil
	})
	for _, n := range elsewhere {
		n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(n.Label(source.Source())))
	}
	for _, p := range pictures {
		link := ast.NewLink()
		link.Destination = webOnly(p.Destination)
		link.SetAttributeString("rel", []byte("nofollow noopener"))
		for c := p.FirstChild(); c != nil; {
			next := c.NextSibling()
			link.AppendChild(link, c)
			c = next
		}
		p.Parent().ReplaceChild(p.Parent(), p, link)
	}
}

// webOnly returns the destination to if it is a web, mail or magnet link or leads to this
// page, and nil otherwise.
func webOnly(to []byte) []byte {
	low := strings.ToLower(string(to))
	for _, ok := range []string{"https://", "http://", "mailto:", "magnet:?", "#"} {
		if strings.HasPrefix(low, ok) {
			return to
		}
	}
	return nil
}

// RenderNotes returns notes in HTML as a release page shows them. whole is false if the page would show
// only their beginning. The HTML is safe for any page: see above.
func (s *Site) RenderNotes(notes string) (out template.HTML, whole bool) { return s.renderNotes(notes) }

// renderNotes returns up to about maxNotes bytes of the notes in HTML. whole reports
// whether these are all of the notes.
func (s *Site) renderNotes(notes string) (out template.HTML, whole bool) {
	var lines strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(strings.ReplaceAll(notes, "\r\n", "\n"), "�")) {
		body, end := strings.CutSuffix(line, "\n")
		for i, part := range strings.Split(body, "\t") {
			if i > 0 {
				lines.WriteByte('\t')
			}
			lines.WriteString(display(part))
		}
		if end {
			lines.WriteByte('\n')
		}
	}
	source := lines.String()
	for most := min(len(source), maxNotes); ; most /= 2 {
		part := clip(source, most)
		if len(part) < len(source) {
			if i := strings.LastIndex(part, "\n\n"); i > 0 {
				part = part[:i] // complete paragraphs only
			}
		}
		var b bytes.Buffer
		if err := s.markdown.Convert([]byte(part), &b); err != nil {
			return "", part == source
		}
		if b.Len() <= maxNotes || most == 0 {
			return template.HTML(b.String()), len(part) == len(source)
		}
	}
}
