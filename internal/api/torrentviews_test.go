package api

import (
	"context"

	"spate/internal/daemon"
)

func (f *fake) PreviewTorrent(_ context.Context, a AddTorrent) (daemon.TorrentPreview, error) {
	return daemon.TorrentPreview{Name: a.Source, Files: []daemon.PreviewFile{}}, nil
}
func (f *fake) TorrentPieces(context.Context, string) (daemon.TorrentPieces, error) {
	return daemon.TorrentPieces{Have: []byte{}}, nil
}
func (f *fake) TorrentHistory(context.Context, string) (daemon.TorrentHistory, error) {
	return daemon.TorrentHistory{Step: 10, Down: []float64{}, Up: []float64{}}, nil
}
func (f *fake) Folders(context.Context) (Folders, error) { return Folders{[]daemon.FolderSpace{}}, nil }
