package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/metainfo"
)

// source checks the torrent arg, its page or magnet link, its trackers and its web seeds. It returns nil
// if the torrent cannot be read.
func (p *checkup) source(ctx context.Context, arg string) (*metainfo.MetaInfo, error) {
	arg = source.UnquoteArg(arg)
	if u, err := url.Parse(arg); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		list, clock := p.web.Page(ctx, arg)
		p.clock = append(p.clock, clock...)
		p.print(list...)
		if len(doctor.ToDo(list)) > 0 && len(clock) == 0 {
			return nil, nil // it does not answer
		}
	}
	src, err := p.resolve(ctx, arg, &p.opt.sourceFlags)
	if err == nil && src.Torrent == nil {
		err = p.sources(p.opt.bind.Addr).FetchTorrent(ctx, src)
	}
	switch code := fault.CodeOf(err); {
	case err == nil:
	case source.IsLink(arg) && (code == fault.Network || code == fault.NotFound || code == fault.BadData || code == fault.NoPeers):
		p.print(doctor.Finding{Check: "torrent", Level: doctor.Fail, Text: fault.Message(err), Advice: hintFor(err)})
		return nil, nil
	default:
		return nil, err
	}
	if src.URL != "" {
		list, clock := p.web.TorrentFile(ctx, src.URL)
		p.clock = append(p.clock, clock...)
		p.print(list...)
	}
	swarms, err := src.Swarms()
	if err != nil {
		return nil, err
	}
	if src.Magnet != "" {
		if err := p.magnet(ctx, src.Magnet); err != nil {
			return nil, err
		}
	}
	if src.Torrent == nil {
		return p.metadata(ctx, arg, src.Magnet, swarms)
	}
	mi, err := src.Parse()
	if err != nil {
		return nil, err
	}
	p.lint(mi, src.Torrent)
	p.trackers(ctx, swarms, mi.Info.Private)
	p.webSeeds(ctx, mi)
	return mi, nil
}

// magnet prints what is wrong with a magnet link, and with the .torrent files that it names.
func (p *checkup) magnet(ctx context.Context, raw string) error {
	link, err := metainfo.ParseMagnet(raw)
	if err != nil {
		return err
	}
	p.print(doctor.LintMagnet(raw, &link, !p.opt.session.noDHT, p.opt.bind.Addr.IsLoopback())...)
	urls := p.left("torrent-type", unique(link.Torrents), maxCheckedSeeds)
	p.all(len(urls), func(i int) ([]doctor.Finding, []doctor.ServerTime) { return p.web.TorrentFile(ctx, urls[i]) })
	return nil
}

// metadata asks peers for the torrent of a magnet link, and checks it. It returns nil if no peer sends
// the torrent in time, or if another process of spate has the ports.
func (p *checkup) metadata(ctx context.Context, arg, raw string, swarms source.Swarms) (*metainfo.MetaInfo, error) {
	link, err := metainfo.ParseMagnet(raw)
	if err != nil {
		return nil, err
	}
	p.trackers(ctx, swarms, false)
	if p.session == nil {
		p.print(doctor.Finding{Check: "torrent", Level: doctor.Note, Text: "not checked: peers are asked for the torrent of a link only if no other process of spate uses the state directory"})
		return nil, nil
	}
	mi, _, err := p.session.FetchMetadata(ctx, link, daemon.MetadataConfig{Arg: arg, Timeout: p.opt.timeout})
	if err != nil {
		p.print(doctor.Finding{Check: "torrent", Level: doctor.Fail, Text: fault.Message(err), Advice: "check that a seed runs and is reached: spate doctor there"})
		return nil, nil
	}
	p.print(doctor.Finding{Check: "torrent", Level: doctor.OK, Text: "peers sent the torrent of the link"})
	p.lint(mi, nil)
	mi.WebSeeds = unique(append(mi.WebSeeds, link.WebSeeds...))
	p.webSeeds(ctx, mi)
	return mi, nil
}

// lint prints what is wrong with a torrent. file is its .torrent file.
func (p *checkup) lint(mi *metainfo.MetaInfo, file []byte) {
	list := doctor.Lint(mi, p.opt.bind.Addr.IsLoopback())
	for _, text := range advice(mi, file) {
		list = append(list, doctor.Finding{Check: "torrent", Level: doctor.Warn, Text: text})
	}
	if len(list) == 0 {
		list = []doctor.Finding{{Check: "torrent", Level: doctor.OK, Text: "all clients should accept it"}}
	}
	p.print(list...)
}

// The number of trackers and web seeds that are checked. The author of a torrent can name any
// number.
const (
	maxCheckedTrackers = 30
	maxCheckedSeeds    = 10
)

// left prints how many of a list are not checked, and returns the others.
func (p *checkup) left(check string, list []string, most int) []string {
	if n := len(list) - most; n > 0 {
		p.print(doctor.Finding{Check: check, Level: doctor.Note, Text: fmt.Sprintf("%d more are not checked", n)})
		return list[:most]
	}
	return list
}

// trackers announces the torrent to each tracker. It announces a private torrent to one tracker after
// the other until one answers (BEP 27), and asks the others without an announce.
func (p *checkup) trackers(ctx context.Context, s source.Swarms, private bool) {
	bind := p.opt.bind.Addr
	m := p.daemonEnv().Machine(bind)
	t := &doctor.Trackers{Bind: bind, Proxy: p.out.Chooser(), IPv4: m.IPv4, IPv6: m.IPv6, Now: p.Now}
	if p.session != nil {
		t.Port = p.port // otherwise it is that of a seed that runs
	}
	urls := p.left("tracker", unique(s.Trackers), maxCheckedTrackers)
	late := &lateSeeds{trackers: t, hash: s.Hashes[0]}
	defer func() { p.await(late) }()
	check := func(url string) ([]doctor.Finding, []doctor.ServerTime) {
		list := t.Check(ctx, url, s.Hashes[0])
		if doctor.NoSeed(list) {
			late.add(url)
		}
		if len(doctor.ToDo(list)) > 0 {
			return list, nil
		}
		more, clock := t.Clock(ctx, p.web, url)
		return append(list, more...), clock
	}
	if !private {
		p.all(len(urls), func(i int) ([]doctor.Finding, []doctor.ServerTime) { return check(urls[i]) })
		return
	}
	for served := false; !served && len(urls) > 0; urls = urls[1:] {
		p.all(1, func(int) ([]doctor.Finding, []doctor.ServerTime) {
			list, clock := check(urls[0])
			served = doctor.Served(list)
			return list, clock
		})
	}
	p.all(len(urls), func(i int) ([]doctor.Finding, []doctor.ServerTime) { return t.Scrape(ctx, urls[i], s.Hashes[0]), nil })
}

// webSeeds checks the web seeds of a torrent.
func (p *checkup) webSeeds(ctx context.Context, mi *metainfo.MetaInfo) {
	urls := p.left("web-seed", unique(mi.WebSeeds), maxCheckedSeeds)
	p.all(len(urls), func(i int) ([]doctor.Finding, []doctor.ServerTime) {
		return p.web.WebSeed(ctx, mi, urls[i], p.opt.bind.Addr, nil)
	})
}

// all calls check for each number below n at the same time, and prints the findings in order.
func (p *checkup) all(n int, check func(i int) ([]doctor.Finding, []doctor.ServerTime)) {
	type result struct {
		list  []doctor.Finding
		clock []doctor.ServerTime
	}
	results := make([]chan result, n)
	for i := range results {
		results[i] = make(chan result, 1)
		go func() {
			list, clock := check(i)
			results[i] <- result{list, clock}
		}()
	}
	for _, c := range results {
		r := <-c
		p.clock = append(p.clock, r.clock...)
		p.print(r.list...)
	}
}

// unique returns the strings of a list without repetitions.
func unique(list []string) (out []string) {
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
