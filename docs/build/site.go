package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// site holds the documents of a repository.
type site struct {
	top   string           // directory of the repository
	pages map[string]*page // by path below top, with slashes
	menu  []section
}

// section is a group of links in the menu.
type section struct {
	title string
	links []menuLink
}

// menuLink is a link of the menu to a page.
type menuLink struct{ title, page string }

// menuPage is the document whose headings and lists are the menu of all pages.
const menuPage = "docs/README.md"

// load reads and parses the documents: the Markdown files in top, and all below docs/.
func load(top string) (*site, error) {
	s := &site{top: top, pages: map[string]*page{}}
	names, err := filepath.Glob(filepath.Join(top, "*.md"))
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(top, "docs"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".md" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return nil, err
		}
		rel = filepath.ToSlash(rel)
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s.pages[rel] = parse(rel, text)
	}
	m := s.pages[menuPage]
	if m == nil {
		return nil, fmt.Errorf("%s, which lists the pages, is missing", menuPage)
	}
	s.menu = m.sections()
	return s, nil
}

// sections returns the menu that a page describes: each heading of the second level begins a
// section, and the first link of each item of a list is an entry.
func (p *page) sections() (menu []section) {
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 2 {
				menu = append(menu, section{title: plain(n, p.text)})
			}
		case *ast.List:
			for item := n.FirstChild(); item != nil && len(menu) > 0; item = item.NextSibling() {
				if l := firstLink(item); l != nil {
					last := &menu[len(menu)-1]
					last.links = append(last.links, menuLink{plain(l, p.text), path.Join(path.Dir(p.path), string(l.Destination))})
				}
			}
		}
	}
	return menu
}

// target returns the file below the top directory, and the anchor in it, to which a relative
// link of the page leads. ok is false for links to other sites.
func (p *page) target(dest string) (file, anchor string, ok bool) {
	if strings.Contains(dest, "://") || strings.HasPrefix(dest, "mailto:") {
		return "", "", false
	}
	file, anchor, _ = strings.Cut(dest, "#")
	if file == "" {
		return p.path, anchor, true
	}
	return path.Join(path.Dir(p.path), file), anchor, true
}

// check returns an error that names each link that leads to no file or to no heading, each
// page that the menu does not list, and each page below docs/ that does not say for whom it is.
func (s *site) check() error {
	var found []error
	listed := map[string]bool{menuPage: true}
	for _, part := range s.menu {
		for _, l := range part.links {
			listed[l.page] = true
		}
	}
	for name, p := range s.pages {
		if !listed[name] {
			found = append(found, fmt.Errorf("%s does not list %s", menuPage, name))
		}
		if strings.HasPrefix(name, "docs/") && p.lead == nil {
			found = append(found, fmt.Errorf("%s: the first paragraph is not of the form \"**For:** readers. **Task:** what they do.\"", name))
		}
		for _, dest := range p.links() {
			file, anchor, ok := p.target(dest)
			if !ok {
				continue
			}
			if _, err := os.Stat(filepath.Join(s.top, filepath.FromSlash(file))); err != nil {
				found = append(found, fmt.Errorf("%s: the link to %s leads to no file", name, dest))
			} else if to := s.pages[file]; anchor != "" && (to == nil || !to.ids[anchor]) {
				found = append(found, fmt.Errorf("%s: the link to %s leads to no heading", name, dest))
			}
		}
	}
	return errors.Join(found...)
}
