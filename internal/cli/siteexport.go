package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/units"
	"spate/publish/catalogdb"
	"spate/site"
)

// siteOptions are the flags of site export.
type siteOptions struct {
	state     string
	publicURL string
	data      string
	site      siteFlags
}

func (a *app) siteCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "site",
		Short:   "the pages of a publisher as files",
		Long:    "The pages of spate serve, as files that any web server hands out.",
		Example: `  spate site export --public-url https://files.example.org /var/www/files`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.UsageHint("spate site --help lists them", "there is no verb %q of site", args[0])
			}
			return fault.UsageHint("spate site --help lists them", "site needs a verb: export")
		},
	}
	cmd.AddCommand(a.siteExportCmd())
	return cmd
}

func (a *app) siteExportCmd() *cobra.Command {
	var opt siteOptions
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "write the pages, torrents and feeds to a directory",
		Long: `Write the whole site of spate serve to DIR, whether that runs or not: pages,
torrents, signatures, feeds, and links to the data. What an export left in DIR
before is replaced in one step; a DIR with anything else in it is refused.
DIR/.spate-site has what nginx, Apache and Caddy need to be told.`,
		Example: `  spate site export --public-url https://files.example.org /var/www/files`,
		Args:    need(1, 1, "a DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.siteExport(cmd.Context(), args[0], &opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.publicURL, "public-url", "", "the files will be reached at this `URL`")
	f.StringVar(&opt.data, "data", "link", "the data as a link, or as a copy")
	f.StringVar(&opt.site.title, "title", "", "the `NAME` of the site (default spate)")
	f.StringVar(&opt.site.theme, "theme", "", "templates/ and static/ in this `DIR` replace those of the pages")
	followLinksFlag(f, &opt.site.follow, "--theme")
	stateFlag(f, &opt.state)
	return cmd
}

func (a *app) siteExport(ctx context.Context, dir string, opt *siteOptions) error {
	if opt.publicURL == "" {
		return fault.UsageHint("say where the files will be: --public-url https://files.example.org", "site export needs --public-url")
	}
	base, err := daemon.ParsePublicURL(opt.publicURL)
	if err != nil {
		return err
	}
	if opt.data != "link" && opt.data != "copy" {
		return fault.Usagef("--data %s: want link or copy", opt.data)
	}
	pages, err := opt.site.options(0)
	if err != nil {
		return err
	}
	pages.BaseURL, pages.Log = base, a.Log
	state := a.stateDir(opt.state)
	if _, err := os.Stat(filepath.Join(state, "catalog")); err != nil {
		return fault.WithHint(err, "spate serve makes it; name its directory with --state DIR")
	}
	// A copy: the daemon goes on with its own, and everything is of one moment.
	tmp, err := os.MkdirTemp("", "spate-export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := a.copyCatalog(ctx, state, filepath.Join(tmp, "catalog.db")); err != nil {
		return err
	}
	db, _, err := catalogdb.Open(ctx, tmp, a.Now())
	if err != nil {
		return err
	}
	defer db.Close()
	options := site.ExportOptions{
		Site: pages, Copy: opt.data == "copy",
		Skipped: func(path string, why error) { a.Warnf("left out: %s: %v", path, why) },
	}
	done, err := site.Export(ctx, db, dir, options)
	if errors.Is(err, site.ErrForeign) {
		return fault.New(fault.Exists, "take it out of there, or choose another DIR: an export replaces all of it", "%w", err)
	}
	if errors.Is(err, syscall.EBUSY) {
		return fault.WithHint(err, "a directory that a file system is mounted on cannot be replaced: name one below it")
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(map[string]any{"event": "exported", "path": dir, "releases": done.Releases, "files": done.Files})
	}
	a.Notef("%s of %s in %s; what web servers need to be told is in %s", units.Plural(done.Files, "file"),
		units.Plural(done.Releases, "release"), dir, filepath.Join(dir, ".spate-site"))
	return nil
}
