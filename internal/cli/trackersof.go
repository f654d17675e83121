package cli

import (
	"cmp"
	"context"
	"net/url"
	"path"
	"slices"

	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/units"
)

// swarms returns the swarms of the SOURCE arg for the verb. If tracker is not empty, it is the URL of
// the only tracker.
func (a *app) swarms(ctx context.Context, verb, tracker, arg string, opt *sourceFlags) (s source.Swarms, err error) {
	if tracker == "" && onlyTracker(arg) {
		return s, fault.UsageHint("write the SOURCE after it: spate "+verb+" URL SOURCE", "%s is the URL of a tracker, and names no torrent", source.Unquote(arg))
	}
	src, err := a.resolve(ctx, arg, opt)
	if err != nil {
		return s, err
	}
	if s, err = src.Swarms(); err == nil && tracker == "" && len(s.Trackers) == 0 {
		if err = a.sources(opt.bind.Addr).FetchTorrent(ctx, src); err == nil {
			s, err = src.Swarms()
		}
	}
	switch {
	case err != nil:
		return s, err
	case tracker != "":
		s.Trackers = []string{tracker}
	case len(s.Trackers) == 0:
		return s, fault.UsageHint("give the URL of one: spate "+verb+" URL SOURCE", "%s names no tracker", termsafe.Clip(src.Arg, 70))
	}
	return s, nil
}

// onlyTracker reports whether arg is a URL of a tracker and of nothing else.
func onlyTracker(arg string) bool {
	u, err := url.Parse(source.Unquote(arg))
	return err == nil && u.Host != "" && (slices.Contains([]string{"udp", "ws", "wss"}, u.Scheme) || path.Base(u.Path) == "announce")
}

// eachTracker calls ask for each tracker. If there are several, it prints their URLs, and returns
// an error only if all fail.
func (a *app) eachTracker(ctx context.Context, trackers []string, ask func(url string) error) error {
	if len(trackers) == 1 {
		return ask(trackers[0])
	}
	var first error
	failed := 0
	for _, url := range trackers {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !a.JSON {
			if err := a.Printf("%s\n", termsafe.Line(url)); err != nil {
				return err
			}
		}
		if err := ask(url); err != nil {
			a.Warnf("%v", err)
			first = cmp.Or(first, err)
			failed++
		}
	}
	if failed == len(trackers) {
		return fault.New(fault.CodeOf(first), hintFor(first), "none of %s answered", units.Plural(failed, "tracker"))
	}
	return nil
}
