//go:build !unix

package onevent

import "os/exec"

// endChildrenToo does nothing: the end of the context ends the program alone.
func endChildrenToo(*exec.Cmd) {}
