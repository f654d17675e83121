package daemon

import "errors"

// mkfifo returns an error, because Windows has no pipes in directories.
func mkfifo(string) error { return errors.ErrUnsupported }
