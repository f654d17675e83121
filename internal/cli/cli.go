// Package cli contains the verbs of the program spate: their flags, their JSON fields, and
// the exit codes that scripts rely on.
//
// A verb is one file with a function "func (a *app) xxxCmd() *cobra.Command", which
// [app.verbs] lists. The verb parses its flags into a struct, calls the packages that do the
// work, prints results and messages with the methods of [term.Terminal], and returns an
// error of package fault, which [exitCode] maps to an exit code. version.go is the smallest
// example.
package cli

import (
	"io"
	"os"
	"time"
)

// Env contains everything that the program takes from its surroundings.
type Env struct {
	Name           string   // base name of the program's file
	Args           []string // without the program's name
	Environ        []string // KEY=value; if a key is repeated, the last value is used
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time // nil: time.Now
	Signals        <-chan os.Signal // the first signal stops gracefully, the second at once; nil: no signals
	// ServiceState is the state directory of the service that a package installs. The verbs that
	// use a daemon use the service if no daemon runs with the user's own state directory. Empty:
	// there is no service.
	ServiceState string
	// OutlivesHangup makes the program ignore SIGHUP, as under nohup(1).
	OutlivesHangup bool
}
