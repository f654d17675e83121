package main

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// page is a parsed document.
type page struct {
	path string // below the top directory, with slashes
	text []byte
	doc  ast.Node
	head *ast.Heading   // the heading of the first level; nil: none
	lead *ast.Paragraph // the paragraph that says for whom the page is; nil: none
	ids  map[string]bool
}

// markdown parses and renders documents as GitHub does, as far as the documents need it.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	)
}

// parse parses a document.
func parse(path string, source []byte) *page {
	p := &page{path: path, text: source, ids: map[string]bool{}}
	ids := &headingIDs{taken: p.ids}
	p.doc = markdown().Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(ids))))
	if h, ok := p.doc.FirstChild().(*ast.Heading); ok && h.Level == 1 {
		p.head = h
		if para, ok := h.NextSibling().(*ast.Paragraph); ok {
			s := plain(para, source)
			if strings.HasPrefix(s, "For: ") && strings.Contains(s, " Task: ") {
				p.lead = para
			}
		}
	}
	return p
}

// title returns the heading of the page, or its path.
func (p *page) title() string {
	if p.head == nil {
		return p.path
	}
	return plain(p.head, p.text)
}

// links returns the destinations of all links and images of the page.
func (p *page) links() (found []string) {
	_ = ast.Walk(p.doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Link:
				found = append(found, string(n.Destination))
			case *ast.Image:
				found = append(found, string(n.Destination))
			}
		}
		return ast.WalkContinue, nil
	})
	return found
}

// firstLink returns the first link below a node, or nil.
func firstLink(n ast.Node) (found *ast.Link) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && found == nil {
			found = l
		}
		return ast.WalkContinue, nil
	})
	return found
}

// plain returns the text below a node without its formatting.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// headingIDs makes the anchors of headings, the same that GitHub makes, so that links work on
// both.
type headingIDs struct{ taken map[string]bool }

// Generate implements [parser.IDs].
func (h *headingIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(value)))
	free := id
	for n := 1; h.taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	h.taken[free] = true
	return []byte(free)
}

// Put implements [parser.IDs].
func (h *headingIDs) Put(value []byte) { h.taken[string(value)] = true }
