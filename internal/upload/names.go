package upload

import (
	"strings"
	"unicode/utf8"

	"spate/internal/fault"
	"spate/internal/units"
	"spate/metainfo"
)

// check returns an error if the files cannot be stored under their names, or exceed a limit.
func (r *record) check() error {
	if err := checkElement(r.Name, r.Name); err != nil {
		return err
	}
	if len(r.Mark) > maxMark || !utf8.ValidString(r.Mark) {
		return fault.Usagef("the mark is not text of at most %s", units.Plural(maxMark, "byte"))
	}
	if len(r.Files) == 0 {
		if r.Length < 0 || r.Length > maxLength {
			return badLength(r.Name)
		}
		return nil
	}
	if r.Length != 0 {
		return fault.Usagef("a folder has the lengths of its files, and no length of its own")
	}
	if len(r.Files) > MaxFiles {
		return fault.Usagef("the folder has %s, and the limit is %d", units.Plural(len(r.Files), "file"), MaxFiles)
	}
	return r.checkFiles()
}

// checkFiles checks the files of a folder.
func (r *record) checkFiles() error {
	isFile := make(map[string]bool, len(r.Files)) // false: a directory
	total := int64(0)
	for _, f := range r.Files {
		if f.Length < 0 || f.Length > maxLength-total {
			return badLength(f.Path)
		}
		total += f.Length
		if len(f.Path) > maxPath {
			return fault.Usagef("the path %.60q has more than %s", f.Path, units.Plural(maxPath, "byte"))
		}
		for at, end := 0, 0; end >= 0; at += end + 1 {
			rest := f.Path[at:]
			end = strings.IndexByte(rest, '/')
			element, path := rest, f.Path
			if end >= 0 {
				element, path = rest[:end], f.Path[:at+end]
			}
			if err := checkElement(element, f.Path); err != nil {
				return err
			}
			file, known := isFile[path]
			switch {
			case known && end < 0:
				return fault.Usagef("%q is named twice", f.Path)
			case known && file:
				return fault.Usagef("%q is a file and a directory", path)
			}
			isFile[path] = end < 0
		}
	}
	return nil
}

// checkElement returns an error if an element of path is not safe as the name of a file on every
// system, because others store the data under the same names.
func checkElement(element, path string) error {
	if !utf8.ValidString(element) {
		return fault.Usagef("the name %.60q is not UTF-8", path)
	}
	if safe := metainfo.SafeName(element); safe != element {
		return fault.UsageHint("rename it", "%.60q is not safe as the name of a file: it would be stored as %.60q", path, safe)
	}
	return nil
}

func badLength(path string) error {
	return fault.Usagef("the length of %.60q is negative, or the upload has more than %s", path, units.Bytes(maxLength))
}
