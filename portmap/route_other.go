//go:build !linux && !windows && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package portmap

// defaultRoutes knows no routes on this system; Options.Gateway names the router.
func defaultRoutes(bool) ([]route, error) { return nil, ErrNoGateway }
