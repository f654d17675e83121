package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/publish"
)

func (a *app) withdrawCmd() *cobra.Command {
	var yes, dryRun bool
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "withdraw RELEASE...",
		Short: "stop publishing a release of a spate serve; keep its data",
		Long: `Stop listing, seeding and tracking releases of a spate serve or publish. NAME, or the
name in the address of its page, means all versions and variants, and NAME~VERSION
all variants of one version. On a terminal withdraw says how many releases these are,
and asks, unless --yes or --json is given. To withdraw an entry of a watched folder,
remove it from the folder.`,
	}, 1, -1, "a RELEASE", func(ctx context.Context, c *api.Client, refs []string) error {
		for _, ref := range refs {
			if added, err := isTorrent(ctx, c, ref); err != nil || added {
				return cmp.Or(err, fault.UsageHint("spate remove "+ref, "%s was added, not published", ref))
			}
		}
		if dryRun {
			return a.withdrawnBy(ctx, c, refs)
		}
		if !yes && !a.JSON && a.CanAsk() { // a program that reads JSON gets the same result with and without a terminal
			if err := a.askWithdraw(ctx, c, refs); err != nil {
				return err
			}
		}
		return a.each(refs, "withdrawn", func(ref string) error { return c.Withdraw(ctx, ref) })
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list the releases that it would withdraw")
	return cmd
}

// named returns the releases that a reference stands for when it is withdrawn, by the rule of
// [publish.Publisher.Named].
func named(ctx context.Context, c *api.Client, ref string) ([]publish.ReleaseInfo, error) {
	want := publish.ParseRef(ref)
	r, err := c.Release(ctx, ref)
	switch {
	case want.Variant != "" || want.Version != "" && err == nil:
		return []publish.ReleaseInfo{r}, err
	case want.Version != "":
		first, slugErr := c.Release(ctx, want.Slug)
		if slugErr != nil {
			return nil, err
		}
		r = first
	case err != nil:
		return nil, err
	}
	list, listErr := c.Releases(ctx, api.List{})
	if listErr != nil {
		return nil, listErr
	}
	of := slices.DeleteFunc(list.Releases, func(o publish.ReleaseInfo) bool {
		return o.Slug != r.Slug || want.Version != "" && o.Version != want.Version
	})
	if len(of) == 0 {
		return nil, err
	}
	return of, nil
}

// withdrawnBy prints the releases that references stand for.
func (a *app) withdrawnBy(ctx context.Context, c *api.Client, refs []string) error {
	for _, ref := range refs {
		list, err := named(ctx, c, ref)
		if err != nil {
			return err
		}
		for _, r := range list {
			if a.JSON {
				err = a.PrintJSON(changedEvent{"would_withdraw", r.Ref})
			} else {
				err = a.Printf("%s\n", termsafe.Line(r.Ref))
			}
			if err != nil {
				return err
			}
		}
		a.Notef("%s would be withdrawn: %s; the data stays", ref, countReleases(list))
	}
	return nil
}

// askWithdraw asks the user whether references shall be withdrawn. The error says that they are not.
func (a *app) askWithdraw(ctx context.Context, c *api.Client, refs []string) error {
	for _, ref := range refs {
		list, err := named(ctx, c, ref)
		if err != nil {
			return err
		}
		ok, err := a.Confirm(ctx, fmt.Sprintf("Withdraw %s: %s? The data stays.", termsafe.Line(ref), countReleases(list)))
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.Failed, "", "nothing was withdrawn")
		}
	}
	return nil
}

// countReleases describes releases of one name: "3 versions and 2 variants, 6 releases".
func countReleases(list []publish.ReleaseInfo) string {
	versions, variants := map[string]bool{}, map[string]bool{}
	for _, r := range list {
		versions[r.Version] = true
		if r.Variant != "" {
			variants[r.Variant] = true
		}
	}
	text := units.Plural(len(versions), "version")
	if len(variants) > 0 {
		text += " and " + units.Plural(len(variants), "variant") + ", " + units.Plural(len(list), "release")
	}
	return text
}
