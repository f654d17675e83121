package cli

import (
	"net"
	"strconv"

	"spate/internal/fault"
)

// checkHostPort refuses what is not HOST:PORT.
func checkHostPort(flag, s string) error {
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" {
		return fault.Usagef("%s %s is not HOST:PORT", flag, s)
	}
	return nil
}
