// Package daemon runs what spate consists of: the engine with its downloads and seeds, the
// tracker, the publisher with its site, and the daemon that watches folders. It opens the
// sockets, locks and certificates that these need. It knows no flags and no exit codes:
// the caller fills configurations, and errors of package fault name the settings to change.
package daemon

import (
	"log/slog"
	"time"

	"spate/internal/proxy"
)

// Env holds what the parts of this package need from the calling program. All fields but Out are
// required.
type Env struct {
	Now    func() time.Time
	Log    *slog.Logger
	Getenv func(name string) string
	// Out says through which proxies connections leave; nil: all are direct.
	Out   *proxy.Outgoing
	Notef func(format string, args ...any) // prints a note for the user
	Warnf func(format string, args ...any) // prints a warning for the user
}
