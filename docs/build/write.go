package main

import (
	"bytes"
	"embed"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark/ast"
)

//go:embed page.html docs.css
var assets embed.FS

// view is what the template of a page shows.
type view struct {
	Title, Root string // Root is the path from the page to the top of the site
	Lead, Body  template.HTML
	Parts       []viewLink // headings of the second level
	Menu        []viewSection
}

type viewSection struct {
	Title string
	Links []viewLink
}

type viewLink struct {
	Title, Href string
	Here        bool
}

// write writes the site to the directory out, which it creates, and returns the number of
// pages. It copies every other file to which a page links.
func (s *site) write(out string) (int, error) {
	tmpl, err := template.ParseFS(assets, "page.html")
	if err != nil {
		return 0, err
	}
	css, err := os.ReadFile(filepath.Join(s.top, "site", "static", "site.css"))
	if err != nil {
		return 0, err
	}
	more, err := assets.ReadFile("docs.css")
	if err != nil {
		return 0, err
	}
	if err := put(out, "docs.css", append(css, more...)); err != nil {
		return 0, err
	}
	for _, p := range s.pages {
		for _, dest := range p.links() {
			file, _, ok := p.target(dest)
			if !ok || s.pages[file] != nil {
				continue
			}
			b, err := os.ReadFile(filepath.Join(s.top, filepath.FromSlash(file)))
			if err == nil {
				err = put(out, copyPath(file), b)
			}
			if err != nil {
				return 0, err
			}
		}
	}
	for _, p := range s.pages {
		v, err := s.view(p)
		if err != nil {
			return 0, err
		}
		var b bytes.Buffer
		if err := tmpl.Execute(&b, v); err != nil {
			return 0, err
		}
		if err := put(out, htmlPath(p.path), b.Bytes()); err != nil {
			return 0, err
		}
	}
	return len(s.pages), nil
}

// put writes the file name below the directory out.
func put(out, name string, b []byte) error {
	to := filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// htmlPath returns the path of a page in the site. A README is the index of its directory.
func htmlPath(name string) string {
	name = strings.TrimSuffix(name, ".md") + ".html"
	if path.Base(name) == "README.html" {
		name = path.Join(path.Dir(name), "index.html")
	}
	return name
}

// copyPath returns the path in the site of a file that is no page. Go files get another ending,
// because the go command would take them for a package of the module.
func copyPath(name string) string {
	if path.Ext(name) == ".go" {
		name += ".txt"
	}
	return name
}

// href returns the relative link from the page p to another page.
func (p *page) href(to string) string {
	return strings.Repeat("../", strings.Count(p.path, "/")) + htmlPath(to)
}

// view renders a page. It changes the links of the document, so that it may be called once.
func (s *site) view(p *page) (*view, error) {
	s.relink(p)
	v := &view{Title: p.title(), Root: strings.Repeat("../", strings.Count(p.path, "/"))}
	for _, part := range s.menu {
		vs := viewSection{Title: part.title}
		for _, l := range part.links {
			vs.Links = append(vs.Links, viewLink{l.title, p.href(l.page), l.page == p.path})
		}
		v.Menu = append(v.Menu, vs)
	}
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 2 {
			id, _ := h.AttributeString("id")
			b, _ := id.([]byte)
			v.Parts = append(v.Parts, viewLink{Title: plain(h, p.text), Href: "#" + string(b)})
		}
	}
	md := markdown()
	render := func(n ast.Node) (template.HTML, error) {
		var b bytes.Buffer
		err := md.Renderer().Render(&b, p.text, n)
		return template.HTML(b.String()), err
	}
	if p.lead != nil {
		lead, err := render(p.lead)
		if err != nil {
			return nil, err
		}
		v.Lead = lead
		p.doc.RemoveChild(p.doc, p.lead)
	}
	if p.head != nil {
		p.doc.RemoveChild(p.doc, p.head)
	}
	body, err := render(p.doc)
	v.Body = body
	return v, err
}

// relink makes the links of a page lead to the files of the site.
func (s *site) relink(p *page) {
	_ = ast.Walk(p.doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		l, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		file, anchor, ok := p.target(string(l.Destination))
		if ok && copyPath(file) != file {
			l.Destination = append(l.Destination, ".txt"...)
		}
		if ok && s.pages[file] != nil {
			to := p.href(file)
			if file == p.path {
				to = ""
			}
			if anchor != "" {
				to += "#" + anchor
			}
			l.Destination = []byte(to)
		}
		return ast.WalkContinue, nil
	})
}
