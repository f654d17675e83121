// Package lang chooses the language of pages and holds their texts: a visitor gets the language that a
// link, a cookie or the browser asks for, and the texts, numbers, sizes and dates of that language.
package lang

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// shared contains the texts of this package: names of months, forms of dates, units.
//
//go:embed messages
var shared embed.FS

// Shared returns the files with the texts that every catalog of [Load] contains.
func Shared() fs.FS { return shared }

// Language is a language of pages. It is safe for concurrent use.
type Language struct {
	Code string // in addresses and in the cookie, such as "zh"
	Tag  string // for lang attributes (BCP 47), such as "zh-Hans"
	Name string // in the language itself

	decimal string // separates the fraction of a number
	printer *message.Printer
}

// Languages are the languages of pages: English, German, Spanish and Chinese. The value is safe for
// concurrent use.
type Languages struct {
	// All are the languages. The first one is English, the default.
	All []*Language

	matcher language.Matcher
}

// Load reads the texts of all languages: those of this package, and messages/CODE.json of each
// file system in files for the code of each language.
//
// A text is an object member. Its name is the English text, with the placeholders of package fmt, and its
// value is the translation. If the text depends on the number that is the first placeholder, the value is
// an object with a text for each plural form of the language ("one", "other"). en.json contains only such
// texts. Texts contain no characters that are special in HTML.
func Load(files ...fs.FS) (*Languages, error) {
	l := &Languages{All: []*Language{
		{Code: "en", Tag: "en", Name: "English", decimal: "."},
		{Code: "de", Tag: "de", Name: "Deutsch", decimal: ","},
		{Code: "es", Tag: "es", Name: "Español", decimal: ","},
		{Code: "zh", Tag: "zh-Hans", Name: "简体中文", decimal: "."},
	}}
	texts := catalog.NewBuilder(catalog.Fallback(language.English))
	var tags []language.Tag
	for _, one := range l.All {
		tag := language.Make(one.Tag)
		for _, fsys := range append([]fs.FS{shared}, files...) {
			if err := addMessages(texts, tag, fsys, "messages/"+one.Code+".json"); err != nil {
				return nil, err
			}
		}
		one.printer = message.NewPrinter(tag, message.Catalog(texts))
		tags = append(tags, tag)
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

// addMessages adds the messages in a file to texts.
func addMessages(texts *catalog.Builder, tag language.Tag, files fs.FS, file string) error {
	data, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for key, value := range all {
		var text string
		var forms struct{ One, Other string }
		if json.Unmarshal(value, &text) == nil {
			err = texts.SetString(tag, key, text)
		} else if err = json.Unmarshal(value, &forms); err == nil {
			cases := []any{"other", forms.Other}
			if forms.One != "" {
				cases = append([]any{"one", forms.One}, cases...)
			}
			err = texts.Set(tag, key, plural.Selectf(1, "%d", cases...))
		}
		if err != nil {
			return fmt.Errorf("%s: %q: %w", file, key, err)
		}
	}
	return nil
}

// Find returns the language with the code, or nil.
func (l *Languages) Find(code string) *Language {
	for _, one := range l.All {
		if one.Code == code {
			return one
		}
	}
	return nil
}

// English returns the default language.
func (l *Languages) English() *Language { return l.All[0] }

// English reports whether l is the default language.
func (l *Language) English() bool { return l.Code == "en" }
