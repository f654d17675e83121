package cli

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/units"
	"spate/site"
)

// siteFlags are the flags of verbs with a site.
type siteFlags struct {
	title  string
	theme  string
	follow bool // --follow-links
	httpUp shareValue
	hosts  []string // --host
}

// maxThemeFile limits the size of each file of a theme, in bytes.
const maxThemeFile = 16 << 20

// add adds the flags of verbs that serve a site. folders names the directories of
// --follow-links in its help.
func (s *siteFlags) add(f *pflag.FlagSet, folders string) {
	s.httpUp = shareValue{part: 0.5}
	f.StringVar(&s.title, "title", "", "call the site `NAME` (default spate)")
	f.StringVar(&s.theme, "theme", "", "take templates/ and static/ of the pages from `DIR`")
	followLinksFlag(f, &s.follow, folders)
	f.Var(&s.httpUp, "http-up", "limit direct downloads to `RATE` or % of --up")
}

// followLinksFlag adds --follow-links. folders names its directories in the help.
func followLinksFlag(f *pflag.FlagSet, v *bool, folders string) {
	f.BoolVar(v, "follow-links", false, "follow links that lead out of "+folders)
}

// options converts the flags. up is the upload limit in bytes a second, or 0 for none.
func (s *siteFlags) options(up int64) (o site.Options, err error) {
	o.Title, o.Hosts = s.title, s.hosts
	o.DownloadRate = s.httpUp.of(up)
	if s.theme == "" {
		return o, nil
	}
	info, err := os.Stat(s.theme)
	if err == nil && !info.IsDir() {
		err = fault.Usagef("--theme %s is not a directory", s.theme)
	}
	o.Theme = folder.FS(s.theme, folder.Options{FollowLinks: s.follow}, maxThemeFile)
	return o, err
}

// shareValue is a flag with a rate in bytes a second, or with a share of another rate.
type shareValue struct {
	rate int64
	part float64 // share from 0 to 1; used if rate is 0
}

func (v *shareValue) Set(s string) error {
	if num, ok := strings.CutSuffix(strings.TrimSpace(s), "%"); ok {
		p, err := strconv.ParseFloat(num, 64)
		if err != nil || math.IsNaN(p) || p <= 0 || p > 100 {
			return fmt.Errorf("%q is not from 1%% to 100%%", s)
		}
		*v = shareValue{part: p / 100}
		return nil
	}
	n, err := units.ParseBytes(s)
	*v = shareValue{rate: n}
	return err
}

func (v *shareValue) String() string {
	if v.part > 0 {
		return strconv.FormatFloat(v.part*100, 'f', -1, 64) + "%"
	}
	return strconv.FormatInt(v.rate, 10)
}
func (v *shareValue) Type() string { return "RATE" }

// of returns the rate in bytes a second, or 0 for no limit. up is the other rate.
func (v *shareValue) of(up int64) int64 {
	if v.part > 0 && up > 0 {
		return max(1, int64(v.part*float64(up)))
	}
	return v.rate
}
