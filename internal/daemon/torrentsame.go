package daemon

import "slices"

// Same reports whether i and j are equal. It compares 10,000 torrents in about a millisecond, so that
// changes can be looked for every second.
func (i *TorrentInfo) Same(j *TorrentInfo) bool {
	return i.Done == j.Done && i.Downloaded == j.Downloaded && i.Uploaded == j.Uploaded && i.DownRate == j.DownRate && i.UpRate == j.UpRate && i.Progress == j.Progress &&
		i.Peers == j.Peers && i.Seeders == j.Seeders && i.Leechers == j.Leechers && i.Seeded == j.Seeded && i.Place == j.Place && i.State == j.State &&
		i.InfoHash == j.InfoHash && i.Name == j.Name && i.Error == j.Error && i.Dir == j.Dir && i.Path == j.Path && i.TotalLength == j.TotalLength && i.NumFiles == j.NumFiles &&
		i.Private == j.Private && i.Paused == j.Paused && i.Finished == j.Finished && i.Magnet == j.Magnet && i.Added.Equal(j.Added) && i.Completed.Equal(j.Completed) &&
		i.Stall == j.Stall && i.StallReason == j.StallReason && i.Feed == j.Feed && i.Held == j.Held && i.TorrentOptions.same(&j.TorrentOptions)
}

func (o *TorrentOptions) same(p *TorrentOptions) bool {
	return o.Label == p.Label && o.Sequential == p.Sequential && o.Up == p.Up && o.Down == p.Down && o.Ratio == p.Ratio && o.SeedTime == p.SeedTime && o.SeedIdle == p.SeedIdle && o.NoSeed == p.NoSeed &&
		slices.Equal(o.Select, p.Select) && slices.Equal(o.Files, p.Files)
}
