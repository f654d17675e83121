//go:build !linux

package publish

import "errors"

// clone is not done here: files are linked.
func clone(string, string) error { return errors.ErrUnsupported }
