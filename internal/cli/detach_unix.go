//go:build !windows

package cli

import "syscall"

// detached makes a process outlive this one and its terminal.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
