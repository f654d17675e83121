package folder

import (
	"io/fs"
	"os"
)

// OpenAfter is like Open, but calls then between checking and opening the file.
func (f *Folder) OpenAfter(name string, then func()) (*os.File, error) {
	file, err := openRegular(f.Path(name), func() (fs.FileInfo, error) {
		info, err := f.stat(name)
		then()
		return info, err
	}, func() (*os.File, error) { return f.root.OpenFile(name, os.O_RDONLY|openFlags, 0) })
	return file, f.explain("open", name, err)
}
