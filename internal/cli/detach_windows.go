package cli

import "syscall"

// detachedProcess is the flag DETACHED_PROCESS: the process has no console.
const detachedProcess = 0x8

// detached makes a process outlive this one and its console.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: detachedProcess | syscall.CREATE_NEW_PROCESS_GROUP}
}
