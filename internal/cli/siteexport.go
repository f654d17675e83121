package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"spate/internal/atomicfile"
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
		Short:   "write the pages of a publisher as files",
		Long:    "Write the pages of spate serve as files that any web server can hand out.",
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
		Long: `Write the whole site of spate serve to DIR, whether it runs or not: pages, torrents,
signatures, feeds, and links to the data. The export replaces an earlier export in
DIR in one step, and refuses a DIR with other files. DIR/.spate-site contains
settings for nginx, Apache and Caddy.`,
		Example: `  spate site export --public-url https://files.example.org /var/www/files`,
		Args:    need(1, 1, "a DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.siteExport(cmd.Context(), args[0], &opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.publicURL, "public-url", "", "write links for a site at this `URL`")
	f.StringVar(&opt.data, "data", "link", "write the data as a link or as a copy")
	f.StringVar(&opt.site.title, "title", "", "call the site `NAME` (default spate)")
	f.StringVar(&opt.site.theme, "theme", "", "take templates/ and static/ of the pages from `DIR`")
	followLinksFlag(f, &opt.site.follow, "--theme")
	stateFlag(f, &opt.state)
	return cmd
}

func (a *app) siteExport(ctx context.Context, dir string, opt *siteOptions) error {
	if opt.publicURL == "" {
		return fault.UsageHint("give the URL of the site: --public-url https://files.example.org", "site export needs --public-url")
	}
	base, err := daemon.ParsePublicURL(opt.publicURL)
	if err != nil {
		return err
	}
	if opt.data != "link" && opt.data != "copy" {
		return fault.Usagef("--data %s: the value must be link or copy", opt.data)
	}
	pages, err := opt.site.options(0)
	if err != nil {
		return err
	}
	pages.BaseURL, pages.Log = base, a.Log
	if err := atomicfile.ProbeNew(filepath.Dir(filepath.Clean(dir))); err != nil { // the export is made beside dir
		return fault.WithHint(err, "choose another DIR")
	}
	state := a.serveState(opt.state)
	if _, err := os.Stat(filepath.Join(state, "catalog")); err != nil {
		return fault.WithHint(err, "spate serve creates it; name its state directory with --state DIR")
	}
	// Export from a copy of the catalog, because a running daemon changes the catalog.
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
		Skipped: func(path string, why error) { a.Warnf("skipped %s: %v", path, why) },
	}
	done, err := site.Export(ctx, db, dir, options)
	if errors.Is(err, site.ErrForeign) {
		return fault.New(fault.Exists, "remove it, or choose another DIR: an export replaces the whole directory", "%w", err)
	}
	if errors.Is(err, syscall.EBUSY) {
		return fault.WithHint(err, "a mount point cannot be replaced: choose a directory inside it")
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(map[string]any{"event": "exported", "path": dir, "releases": done.Releases, "files": done.Files})
	}
	a.Notef("%s of %s in %s; settings for web servers are in %s", units.Plural(done.Files, "file"),
		units.Plural(done.Releases, "release"), dir, filepath.Join(dir, ".spate-site"))
	return nil
}
