// Package sockerr recognises errors of sockets on every system.
package sockerr

import (
	"errors"
	"syscall"
)

// winsock maps the errors of package syscall to the numbers that Windows returns for sockets. On
// Windows, package syscall gives ECONNREFUSED and others numbers that no system call returns. On
// other systems, no error has a number of this table.
var winsock = map[syscall.Errno]syscall.Errno{
	syscall.EACCES:        10013,
	syscall.EINVAL:        10022,
	syscall.EMSGSIZE:      10040,
	syscall.EADDRINUSE:    10048,
	syscall.EADDRNOTAVAIL: 10049,
	syscall.ENETUNREACH:   10051,
	syscall.ECONNABORTED:  10053,
	syscall.ECONNRESET:    10054,
	syscall.ETIMEDOUT:     10060,
	syscall.ECONNREFUSED:  10061,
	syscall.EHOSTUNREACH:  10065,
}

// Is reports whether a system call on a socket failed with errno, like errors.Is. errno is an error
// of package syscall, such as syscall.ECONNREFUSED.
func Is(err error, errno syscall.Errno) bool {
	if errors.Is(err, errno) {
		return true
	}
	number, ok := winsock[errno]
	return ok && errors.Is(err, number)
}
