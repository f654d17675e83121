package cli

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"spate"
)

// versionInfo is the JSON output of version.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // hash of the commit
	Date     string `json:"date,omitempty"`     // time of the commit
	Modified bool   `json:"modified,omitempty"` // the source had uncommitted changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version and the commit",
		Args:  need(0, 0, "no arguments"),
		RunE:  func(*cobra.Command, []string) error { return a.version() },
	}
}

func (a *app) version() error {
	v := versionInfo{Version: spate.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Date = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if a.JSON {
		return a.PrintJSON(v)
	}
	return a.Printf("spate %s (%s, %s%s)\n", v.Version, v.Go, v.Platform, v.commit())
}

// commit describes the commit of the source, or returns "" if it is unknown.
func (v *versionInfo) commit() string {
	if v.Revision == "" {
		return ""
	}
	s := ", commit " + v.Revision[:min(12, len(v.Revision))]
	if day, _, ok := strings.Cut(v.Date, "T"); ok {
		s += " of " + day
	}
	if v.Modified {
		s += ", changed since"
	}
	return s
}
