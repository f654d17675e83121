package cli

import (
	"io"
	"time"

	"github.com/spf13/cobra"
)

// Command returns the tree of verbs, for manual pages and completions. It is not
// to be run.
func Command() *cobra.Command {
	root := newApp(Env{Name: "spate", Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}).root()
	root.InitDefaultHelpFlag()
	return root
}
