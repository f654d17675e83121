package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/feed"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/units"
)

func (a *app) feedCmd() *cobra.Command {
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "feed",
		Short: "follow feeds: add the torrents that a rule wants",
		Long: `Follow RSS and Atom feeds with a running spate serve, which adds the torrents of new
items that a rule wants. feed show and feed preview say what a rule does before it acts,
and why it leaves items out. Without a verb below it, feed lists the feeds.`,
		Example: `  spate feed preview https://site.example/feed.xml --match debian
  spate feed add https://site.example/feed.xml --match debian --not arm64 --label images
  spate feed show 'Example site'`,
	}, 0, 0, "no arguments", a.listFeeds)
	cmd.AddCommand(a.feedAddCmd(), a.feedListCmd(), a.feedShowCmd(), a.feedPreviewCmd(), a.feedSetCmd(), a.feedCheckCmd(), a.feedRemoveCmd())
	return cmd
}

// ruleFlags are the flags of a rule.
type ruleFlags struct {
	all, any, not []string
	min, max      sizeValue
	newer         bool
}

func (r *ruleFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&r.all, "match", nil, "take titles with this `WORD`; * fits anything; repeatable: all")
	f.StringArrayVar(&r.any, "match-any", nil, "take titles with this `WORD` or another one; repeatable")
	f.StringArrayVar(&r.not, "not", nil, "leave out titles with this `WORD`; repeatable")
	f.Var(&r.min, "min-size", "take data of at least this `SIZE`: 500M")
	f.Var(&r.max, "max-size", "take data of at most this `SIZE`: 5G")
	f.BoolVar(&r.newer, "newer", false, "take only versions newer than the ones before")
}

func (r *ruleFlags) rule() feed.Rule {
	return feed.Rule{All: r.all, Any: r.any, Not: r.not, MinSize: int64(r.min), MaxSize: int64(r.max), Newer: r.newer}
}

// given reports whether a flag of the rule is on the command line.
func (r *ruleFlags) given(f *pflag.FlagSet) bool {
	for _, name := range []string{"match", "match-any", "not", "min-size", "max-size", "newer"} {
		if f.Changed(name) {
			return true
		}
	}
	return false
}

func (a *app) feedAddCmd() *cobra.Command {
	var d daemonFlags
	var rule ruleFlags
	var q daemon.AddFeed
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "follow a feed",
		Long: `Follow a feed with a running spate serve: RSS, Atom, or the feed of a spate site. feed
add shows which of its present items the rule wants. They are not added, unless
--existing is given: only items that come later are. Nothing is added twice.`,
		Example: `  spate feed add https://site.example/feed.xml --match debian --not arm64 --label images
  spate feed add https://site.example/feed.xml --min-size 500M --max-size 5G --newer`,
		Args: need(1, 1, "a URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.client(a)
			if err != nil {
				return err
			}
			q.URL, q.Rule, q.Every = source.UnquoteArg(args[0]), rule.rule(), int64(every/time.Second)
			if q.Dir, err = daemonDir(q.Dir, &d); err != nil {
				return err
			}
			return apiError(a.addFeed(cmd.Context(), c, q))
		},
	}
	f := cmd.Flags()
	rule.add(f)
	f.StringVar(&q.Name, "name", "", "call it `NAME` (default: its title)")
	f.StringVar(&q.Label, "label", "", "give its torrents this `LABEL`")
	f.StringVarP(&q.Dir, "output", "o", "", "store its data in this `DIR` (default: that of the label)")
	f.DurationVar(&every, "every", 0, "check it after this `TIME` (default: 30m, or what it asks for)")
	f.Lookup("every").DefValue = ""
	f.BoolVar(&q.Existing, "existing", false, "add the items that it has now, too")
	d.add(f)
	return cmd
}

// addFeed follows a feed, and shows what the rule does with its items.
func (a *app) addFeed(ctx context.Context, c *api.Client, q daemon.AddFeed) error {
	i, err := c.AddFeed(ctx, q)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(feedEvent{"added", i})
	}
	a.Notef("following %s", termsafe.Line(i.Name))
	if p, err := c.PreviewFeed(ctx, daemon.PreviewFeed{URL: q.URL, Rule: &q.Rule}); err == nil {
		n := 0
		for _, item := range p.Items {
			if item.Match {
				n++
			}
		}
		what := "none of them is added, because they are not new; --existing adds them"
		if q.Existing {
			what = "they are being added"
		}
		if n > 0 {
			a.Notef("the rule wants %s now: %s", units.PartOf(n, len(p.Items), "item"), what)
		} else {
			a.Notef("the rule wants none of its %s now; spate feed show says why", units.Plural(len(p.Items), "item"))
		}
	}
	return a.Printf("%s\n", i.ID)
}

// feedEvent is the JSON output of feed add.
type feedEvent struct {
	Event string `json:"event"`
	daemon.FeedInfo
}

func (a *app) feedListCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "list", Short: "list the feeds that are followed",
	}, 0, 0, "no arguments", a.listFeeds)
}

func (a *app) listFeeds(ctx context.Context, c *api.Client, _ []string) error {
	list, err := c.Feeds(ctx)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(list)
	}
	for i := range list.Feeds {
		if err := a.Printf("%s\n", feedLine(&list.Feeds[i])); err != nil {
			return err
		}
	}
	return nil
}

// feedLine describes a subscription in a line.
func feedLine(i *daemon.FeedInfo) string {
	parts := []string{i.ID, termsafe.Line(i.Name), ruleWords(&i.Rule)}
	if i.Label != "" {
		parts = append(parts, "label "+termsafe.Line(i.Label))
	}
	parts = append(parts, units.Plural(i.Taken, "torrent")+" added")
	switch {
	case i.Paused:
		parts = append(parts, "paused")
	case i.Error != "":
		parts = append(parts, "failed: "+termsafe.Clip(i.Error, 200))
	case !i.Checked.IsZero():
		parts = append(parts, "checked "+i.Checked.Local().Format(time.DateTime))
	}
	return strings.Join(parts, "  ")
}

// ruleWords describes a rule.
func ruleWords(r *feed.Rule) string {
	var parts []string
	for _, w := range r.All {
		parts = append(parts, termsafe.Line(w))
	}
	if len(r.Any) > 0 {
		parts = append(parts, termsafe.Line("("+strings.Join(r.Any, " or ")+")"))
	}
	for _, w := range r.Not {
		parts = append(parts, "not "+termsafe.Line(w))
	}
	if r.MinSize > 0 {
		parts = append(parts, "from "+units.Bytes(r.MinSize))
	}
	if r.MaxSize > 0 {
		parts = append(parts, "up to "+units.Bytes(r.MaxSize))
	}
	if r.Newer {
		parts = append(parts, "only newer versions")
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

func (a *app) feedShowCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use:   "show FEED",
		Short: "show what the rule of a feed does with its items",
		Long: `Let the spate serve fetch a feed that is followed, and show which of its items the rule
wants, and why it does not want the others. A FEED is an ID, a name or a URL that feed
list shows. Nothing is added.`,
	}, 1, 1, "a FEED", func(ctx context.Context, c *api.Client, args []string) error {
		p, err := c.PreviewFeed(ctx, daemon.PreviewFeed{ID: args[0]})
		if err != nil {
			return err
		}
		return a.printPreview(p)
	})
}

func (a *app) feedPreviewCmd() *cobra.Command {
	var rule ruleFlags
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "preview URL",
		Short: "show what a rule would do with the items of a feed",
	}, 1, 1, "a URL", func(ctx context.Context, c *api.Client, args []string) error {
		r := rule.rule()
		p, err := c.PreviewFeed(ctx, daemon.PreviewFeed{URL: source.UnquoteArg(args[0]), Rule: &r})
		if err != nil {
			return err
		}
		return a.printPreview(p)
	})
	rule.add(cmd.Flags())
	return cmd
}

// printPreview prints what a rule does with the items of a feed.
func (a *app) printPreview(p daemon.FeedPreview) error {
	if a.JSON {
		return a.PrintJSON(p)
	}
	for _, i := range p.Items {
		mark, why := "+", ""
		switch {
		case !i.Match:
			mark, why = "-", ": "+i.Why
		case i.Here:
			mark, why = "=", ": it is here"
		case i.Seen:
			mark, why = "=", ": it is not new"
		}
		size := ""
		if i.Size > 0 {
			size = " (" + units.Bytes(i.Size) + ")"
		}
		if err := a.Printf("%s %s%s%s\n", mark, termsafe.Line(i.Title), size, termsafe.Line(why)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) feedSetCmd() *cobra.Command {
	var rule ruleFlags
	var name, label string
	var paused, resume bool
	var cmd *cobra.Command
	cmd = a.daemonCmd(&cobra.Command{
		Use:   "set FEED...",
		Short: "change the rule or the name of a feed, or pause it",
		Long: `Change feeds that are followed. Flags of the rule replace the whole rule. It holds for
items that come later.`,
	}, 1, -1, "a FEED", func(ctx context.Context, c *api.Client, refs []string) error {
		var ch daemon.FeedChange
		f := cmd.Flags()
		if rule.given(f) {
			r := rule.rule()
			ch.Rule = &r
		}
		if f.Changed("name") {
			ch.Name = &name
		}
		if f.Changed("label") {
			ch.Label = &label
		}
		if paused && resume {
			return fault.Usagef("--pause and --resume exclude each other")
		}
		if paused || resume {
			ch.Paused = &paused
		}
		return a.each(refs, "changed", func(ref string) error { return c.ChangeFeed(ctx, ref, ch) })
	})
	f := cmd.Flags()
	rule.add(f)
	f.StringVar(&name, "name", "", "call it `NAME`")
	f.StringVar(&label, "label", "", "give its torrents this `LABEL`; '': none")
	f.BoolVar(&paused, "pause", false, "do not check it")
	f.BoolVar(&resume, "resume", false, "check it again")
	return cmd
}

func (a *app) feedCheckCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "check FEED...", Short: "check feeds now",
	}, 1, -1, "a FEED", func(ctx context.Context, c *api.Client, refs []string) error {
		for _, ref := range refs {
			i, err := c.CheckFeed(ctx, ref)
			if err != nil {
				return err
			}
			if a.JSON {
				err = a.PrintJSON(feedEvent{"checked", i})
			} else {
				err = a.Printf("%s\n", feedLine(&i))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) feedRemoveCmd() *cobra.Command {
	return a.daemonCmd(&cobra.Command{
		Use: "remove FEED...", Short: "follow feeds no more; their torrents stay",
	}, 1, -1, "a FEED", func(ctx context.Context, c *api.Client, refs []string) error {
		return a.each(refs, "removed", func(ref string) error { return c.RemoveFeed(ctx, ref) })
	})
}
