package desktop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/folder"
)

// maxFile limits the size of the files that are read, in bytes.
const maxFile = 1 << 20

// Place says where the files of a user's desktop are.
type Place struct {
	Data   string // $XDG_DATA_HOME or ~/.local/share
	Config string // $XDG_CONFIG_HOME or ~/.config
}

// Change is a change of a file.
type Change struct {
	Path string
	What string // "written", "changed" or "removed"
}

func (p Place) entry() string { return filepath.Join(p.Data, "applications", ID) }
func (p Place) icon() string {
	return filepath.Join(p.Data, "icons", "hicolor", "scalable", "apps", "spate.svg")
}
func (p Place) associations() string { return filepath.Join(p.Config, "mimeapps.list") }

// Applications returns the directory of the desktop entries, for update-desktop-database.
func (p Place) Applications() string { return filepath.Dir(p.entry()) }

// Install makes program the default for [Types], and returns the files that it changed. A second call
// changes nothing.
func (p Place) Install(program string, icon []byte) (done []Change, err error) {
	err = errors.Join(p.write(&done, p.icon(), icon), p.write(&done, p.entry(), []byte(Entry(program))))
	if err != nil {
		return done, err
	}
	return done, p.associate(&done, func(list string) string { return SetDefault(list, ID, Types) })
}

// Remove undoes Install. Other programs that were the default before are it again.
func (p Place) Remove() (done []Change, err error) {
	err = p.associate(&done, func(list string) string { return RemoveDefault(list, ID, Types) })
	for _, path := range []string{p.entry(), p.icon()} {
		switch rm := os.Remove(path); {
		case rm == nil:
			done = append(done, Change{path, "removed"})
		case !errors.Is(rm, fs.ErrNotExist):
			err = errors.Join(err, rm)
		}
	}
	return done, err
}

// write writes a file unless it has the content already.
func (p Place) write(done *[]Change, path string, content []byte) error {
	old, err := folder.ReadNamed(path, maxFile)
	if err == nil && string(old) == string(content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(path, content); err != nil {
		return err
	}
	*done = append(*done, Change{path, "written"})
	return nil
}

// associate changes the list of associations. It writes the target of a link, because people keep this
// file elsewhere.
func (p Place) associate(done *[]Change, f func(string) string) error {
	path := p.associations()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	old, err := folder.ReadNamed(path, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := f(string(old))
	if text == string(old) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(path, []byte(text)); err != nil {
		return err
	}
	*done = append(*done, Change{path, "changed"})
	return nil
}
