package cli

import (
	"cmp"
	"os"
	"path/filepath"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// uploads sets where uploads are stored, and where data to publish may be chosen.
func (opt *serveOptions) uploads(c *daemon.Config) (err error) {
	if opt.uploadDir != "" {
		if c.UploadDir, err = filepath.Abs(opt.uploadDir); err != nil {
			return err
		}
	}
	for _, dir := range opt.browse {
		if blank(dir) {
			return fault.Usagef("--browse names no directory")
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return cmp.Or(err, fault.Usagef("--browse %s is not a directory", dir))
		}
		c.Browse = append(c.Browse, dir)
	}
	return nil
}
