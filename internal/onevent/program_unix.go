//go:build unix

package onevent

import (
	"os/exec"
	"syscall"
)

// endChildrenToo makes the end of the context end all processes that the program has started too,
// unless they left its group.
func endChildrenToo(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
