package killpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are the system calls that are counted.
var calls = []uint64{
	unix.SYS_OPENAT, unix.SYS_MKDIRAT, unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_FTRUNCATE,
	unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_PWRITE64, unix.SYS_FSYNC,
}

// Command returns a command line that runs argv and kills it before its n-th call,
// counted from 1.
func Command(n int, argv ...string) ([]string, error) {
	self, err := os.Executable()
	return append([]string{"env", variable + "=" + strconv.Itoa(n), self}, argv...), err
}

// Main checks whether this process was started with a command line of [Command]. If so, it
// runs the program in the arguments and kills it at the chosen call, returns the exit code
// for this process, and asked is true.
func Main() (code int, asked bool) {
	at := os.Getenv(variable)
	if at == "" {
		return 0, false
	}
	os.Unsetenv(variable)
	n, err := strconv.Atoi(at)
	if err == nil {
		code, err = run(n, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "killpoint:", err)
		return 1, true
	}
	return code, true
}

// run starts the program and traces it until it ends. It stays on one thread, because
// ptrace(2) requires that.
func run(n int, argv []string) (code int, err error) {
	runtime.LockOSThread()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	p, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &unix.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &ws, unix.WALL, nil); err != nil { // the program stops after execve
		return 0, err
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(p.Pid, options); err != nil {
		return 0, err
	}
	tid, deliver := p.Pid, 0
	for {
		if err := unix.PtraceSyscall(tid, deliver); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err // ESRCH means that the program was killed meanwhile
		}
		for {
			if tid, err = unix.Wait4(-1, &ws, unix.WALL, nil); err != nil {
				return 0, err
			}
			if ws.Stopped() {
				break
			}
			if tid != p.Pid {
				continue // another thread has ended
			}
			if ws.Signaled() {
				return 128 + int(ws.Signal()), nil
			}
			return ws.ExitStatus(), nil
		}
		deliver = 0
		switch sig := ws.StopSignal(); sig {
		case unix.SIGTRAP | 0x80:
			counts, err := enters(tid)
			if err != nil {
				return 0, err
			}
			if counts {
				n--
				if n == 0 {
					p.Kill()
				}
			}
		case unix.SIGTRAP, unix.SIGSTOP: // a thread was created or starts
		default:
			deliver = int(sig)
		}
	}
}

// enters reports whether the stopped thread is about to make a counted call.
func enters(tid int) (bool, error) {
	var info struct { // struct ptrace_syscall_info
		op       uint8
		_        [3]uint8
		arch     uint32
		ip, sp   uint64
		number   uint64
		argument [6]uint64
		_        [2]uint64
	}
	const entry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 && errno != unix.ESRCH {
		return false, errno
	}
	return errno == 0 && info.op == entry && slices.Contains(calls, info.number), nil
}
