package site

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"spate/publish"
)

// systems and machines map the words in the names of variants to the operating systems and the
// architectures of processors that they mean.
var (
	systems = map[string]string{
		"windows": "Windows", "win": "Windows", "win32": "Windows", "win64": "Windows",
		"macos": "macOS", "mac": "macOS", "osx": "macOS", "darwin": "macOS",
		"linux": "Linux", "android": "Android", "freebsd": "FreeBSD", "openbsd": "OpenBSD", "netbsd": "NetBSD",
	}
	machines = map[string]string{
		"amd64": "x86-64", "x64": "x86-64", "x86_64": "x86-64", "x86-64": "x86-64", "win64": "x86-64",
		"386": "x86, 32 bits", "i386": "x86, 32 bits", "i686": "x86, 32 bits", "x86": "x86, 32 bits", "win32": "x86, 32 bits",
		"arm64": "ARM, 64 bits", "aarch64": "ARM, 64 bits", "armhf": "ARM, 32 bits", "armv7": "ARM, 32 bits", "armv6": "ARM, 32 bits",
		"riscv64": "RISC-V", "ppc64le": "POWER", "s390x": "IBM Z", "loong64": "LoongArch", "universal": "all Macs",
	}
	systemOrder = []string{"Windows", "macOS", "Linux", "Android", "FreeBSD", "OpenBSD", "NetBSD", ""}
)

// target is what a variant runs on.
type target struct {
	System, Machine string // values of systems and machines, or "" if the name has no such word
	rest            string // the other words of the name
}

// targetOf returns what the name of a variant says.
func targetOf(variant string) target {
	var t target
	name := strings.NewReplacer("x86_64", "amd64", "x86-64", "amd64").Replace(strings.ToLower(variant))
	var rest []string
	for _, word := range strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("-_.,;+/() ", c) }) {
		system, machine := systems[word], machines[word]
		t.System, t.Machine = cmp.Or(t.System, system), cmp.Or(t.Machine, machine)
		if system == "" && machine == "" {
			rest = append(rest, word)
		}
	}
	t.rest = strings.Join(rest, " ")
	return t
}

// fits reports whether a variant that runs on t can be the successor of one that runs on o, although
// their names differ: the names share a system or a machine and nothing in them differs.
func (t target) fits(o target) bool {
	same := func(a, b string) bool { return a == "" || b == "" || a == b }
	shared := t.System != "" && t.System == o.System || t.Machine != "" && t.Machine == o.Machine
	return shared && same(t.System, o.System) && same(t.Machine, o.Machine) && t.rest == o.rest
}

// kin returns the release of a version that has the variant, or else the only one for the same system
// and machine, because publishers rename variants. It returns nil if there is none.
func kin(version []*publish.Release, variant string) *publish.Release {
	if len(version) == 1 && variant == "" {
		return version[0]
	}
	want := targetOf(variant)
	var found []*publish.Release
	for _, o := range version {
		if o.Variant == variant {
			return o
		}
		if targetOf(o.Variant).fits(want) {
			found = append(found, o)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return nil
}

// inOrder returns the variants of a version in the order of their systems, at most [maxVariants]. All lists
// of variants have this order.
func inOrder(version []*publish.Release) []*publish.Release {
	list := slices.Clone(version)
	slices.SortStableFunc(list, func(a, b *publish.Release) int {
		return cmp.Compare(slices.Index(systemOrder, targetOf(a.Variant).System), slices.Index(systemOrder, targetOf(b.Variant).System))
	})
	return list[:min(len(list), maxVariants)]
}

// choice is a variant that a visitor can choose on the page of a release.
type choice struct {
	target
	Name            string // the name of the variant
	Heading, Detail string // what the variant runs on, for readers
	Size            string
	Get             string // link to the data or to the archive of a tree; in an export, to the page of the tree
	Page, Torrent   string // links
	Magnet          template.URL
	Single          bool
}

// choice returns the variants among which a visitor of the page ref chooses. It returns nil if ref
// names a variant, or if there is only one.
func (s local) choice(version []*publish.Release, ref string) []choice {
	if len(version) < 2 || publish.ParseRef(ref).Variant != "" {
		return nil
	}
	if slices.ContainsFunc(version, func(r *publish.Release) bool { return r.Ref() == ref }) {
		return nil // ref names the variant without a name
	}
	var list []choice
	seen := map[string]int{}
	for _, r := range inOrder(version) {
		to := r.LatestRef()
		if publish.ParseRef(ref).Version != "" || r.Variant == "" {
			to = r.Ref()
		}
		c := choice{
			target: targetOf(r.Variant), Name: display(r.Variant), Size: s.Bytes(r.Size), Single: r.Single,
			Page: s.path(s.pagePath(to)), Torrent: s.path(publish.TorrentPath(to)),
		}
		if len(version) <= 12 && len(r.Magnet) < 1000 {
			c.Magnet = template.URL(safeMagnet(r.Magnet))
		}
		switch {
		case r.Single:
			c.Get = s.path(publish.DownloadPath(to))
		case s.visits == nil:
			c.Get = s.path(zipPath(to))
		default:
			c.Get = c.Page
		}
		c.Heading, c.Detail = cmp.Or(c.Name, s.T("default")), ""
		if c.System != "" && c.rest == "" {
			c.Heading, c.Detail = c.System, c.Machine
			if c.Detail != "" {
				c.Detail = s.T(c.Detail)
			}
		}
		seen[c.Heading+c.Detail]++
		list = append(list, c)
	}
	for i, c := range list {
		if seen[c.Heading+c.Detail] > 1 {
			list[i].Heading, list[i].Detail = c.Name, ""
		}
	}
	return list
}

// choiceCommands returns a command line for each variant of a version, which ref names, in the order of
// choice.
func (s local) choiceCommands(base *url.URL, version []*publish.Release, ref string) []command {
	var list []command
	for _, r := range inOrder(version) {
		to := r.LatestRef()
		if publish.ParseRef(ref).Version != "" || r.Variant == "" {
			to = r.Ref()
		}
		list = append(list, command{Who: cmp.Or(display(r.Variant), s.T("default")), Line: "spate get " + quote(s.absolute(base, s.pagePath(to)))})
	}
	return list
}
