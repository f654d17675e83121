package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestFlagHelpIsShort checks that the help of each flag has at most ten words, without the
// default.
func TestFlagHelpIsShort(t *testing.T) {
	t.Parallel()
	defaults := regexp.MustCompile(` \(default[^)]*\)`)
	eachCommand(newApp(Env{}).root(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			words := strings.Fields(defaults.ReplaceAllString(f.Usage, ""))
			if len(words) == 0 || len(words) > 10 || strings.ToLower(words[0]) != words[0] {
				t.Errorf("%s --%s: %d words: %q", cmd.CommandPath(), f.Name, len(words), f.Usage)
			}
		})
	})
}
