package api

import (
	"spate/internal/daemon"
	"spate/maker"
	"spate/metainfo"
)

// PublishOf converts the request r for the API.
func PublishOf(r daemon.PublishRequest) Publish {
	m := r.Make
	return Publish{
		Paths: r.Paths, Upload: r.Upload, Slug: r.Slug, Version: r.Version, Variants: r.Variants, Newer: r.Newer, Group: r.Group, Notes: r.Notes, NoTwin: r.NoTwin, Force: r.Force,
		Name: m.Name, Format: string(m.Format), PieceLength: m.PieceLength, Announce: r.Trackers, WebSeeds: m.WebSeeds, Private: m.Private,
		Comment: m.Comment, Source: m.Source, CreatedBy: m.CreatedBy, NoDate: m.NoDate, Include: m.Include, Exclude: m.Exclude, Hidden: m.Hidden,
	}
}

// request converts p for the daemon.
func (p *Publish) request() daemon.PublishRequest {
	return daemon.PublishRequest{
		Paths: p.Paths, Upload: p.Upload, Slug: p.Slug, Version: p.Version, Variants: p.Variants, Newer: p.Newer, Group: p.Group, Notes: p.Notes, NoTwin: p.NoTwin,
		Trackers: p.Announce, Force: p.Force,
		Make: maker.Options{
			Name: p.Name, Format: metainfo.Format(p.Format), PieceLength: p.PieceLength, WebSeeds: p.WebSeeds, Private: p.Private,
			Comment: p.Comment, Source: p.Source, CreatedBy: p.CreatedBy, NoDate: p.NoDate, Include: p.Include, Exclude: p.Exclude, Hidden: p.Hidden,
		},
	}
}
