// Package torrent is the engine: sessions that download and seed any number of
// torrents with other BitTorrent clients (BEP 3).
//
// A [Session] listens, dials, announces and limits rates for all its torrents;
// [Session.Add] adds a torrent by its metainfo and the folder of its data;
// [Torrent.Wait] and [Torrent.Stats] report its progress.
//
//	s, err := torrent.NewSession(torrent.Options{Announcer: client})
//	...
//	go s.Run(ctx) // until ctx is done
//	t, err := s.Add(mi, torrent.AddOptions{Dir: "downloads"})
//	...
//	err = t.Wait(ctx)
//
// [Torrent.NewReader] reads a file while it downloads, and [Torrent.Subscribe] delivers the
// events of a torrent. [Torrent.SetPriority] and [Torrent.Select] choose files at any time.
// [Torrent.Move] and [Session.RemoveWithData] move and delete the data. Web seeds (BEP 19)
// in the metainfo are used while no peers are connected or all are slow.
//
// The network, the trackers and the disk are interfaces, so that whole swarms can run in a
// simulation.
//
// conn.go describes how a connection works and which files contain each step.
package torrent
