package daemon

import (
	"errors"
	"testing"

	"spate/internal/fault"
)

// TestPreviewAddsNothing checks the preview of a .torrent, which makes a request that adds the same
// torrent, and that of a torrent that was added.
func TestPreviewAddsNothing(t *testing.T) {
	t.Parallel()
	list := offlineTorrents(t, t.TempDir())
	b, mi := torrentOf(t, t.TempDir())
	p, err := list.Preview(t.Context(), AddRequest{Torrent: b, Remote: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "t" || p.TotalLength != 70_000 || len(p.Files) != 2 || p.Files[0] != (PreviewFile{"a", 40_000, true}) || p.InfoHash != mi.Hash().String() || p.Pieces == 0 {
		t.Errorf("the preview is %+v", p)
	}
	if _, total := list.List(TorrentList{}); total != 0 {
		t.Errorf("the preview added %d torrents", total)
	}
	if _, err := list.Add(t.Context(), AddRequest{Torrent: p.Torrent, Magnet: p.Magnet, Direct: p.Direct, Paused: true}); err != nil {
		t.Fatal(err)
	}
	var e *fault.Error
	if _, err := list.Preview(t.Context(), AddRequest{Torrent: b}); !errors.As(err, &e) || e.Code != fault.Exists {
		t.Errorf("the preview of a torrent that was added: %v", err)
	}
	if _, err := list.Preview(t.Context(), AddRequest{Source: "/etc/passwd", Remote: true}); err == nil {
		t.Error("a path was read")
	}
}

// TestFoldersHaveSpace checks the folders for downloads, of which the second has a label and is missing.
func TestFoldersHaveSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := offlineTorrents(t, t.TempDir(), DownloadFolder{"", dir}, DownloadFolder{"films", dir + "/films/new"})
	got := list.FolderSpaces()
	if len(got) != 2 || got[0].Label != "" || got[0].Dir != dir || got[1].Label != "films" || got[1].Dir != dir+"/films/new" {
		t.Fatalf("the folders are %+v", got)
	}
	if got[0].Total != got[1].Total {
		t.Errorf("the space of a missing folder is %d, and that of its parent %d", got[1].Total, got[0].Total)
	}
}
