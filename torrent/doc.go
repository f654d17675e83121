// Package torrent is the engine: sessions that download and seed any number of
// torrents with other BitTorrent clients (BEP 3).
//
// A [Session] listens, dials, announces and limits rates for all its torrents;
// [Session.Add] takes a torrent from its metainfo and the folder where the data
// lies or is to lie; [Torrent.Wait] and [Torrent.Stats] tell how it goes.
//
//	s, err := torrent.NewSession(torrent.Options{Announcer: client})
//	...
//	go s.Run(ctx) // until ctx is done
//	t, err := s.Add(mi, torrent.AddOptions{Dir: "downloads"})
//	...
//	err = t.Wait(ctx)
//
// [Torrent.NewReader] reads a file while it downloads, [Torrent.Subscribe] watches,
// [Torrent.SetPriority] and [Torrent.Select] choose files at any time,
// [Torrent.Move] and [Session.RemoveWithData] deal with the data. Web seeds (BEP
// 19) that the metainfo names help out while peers are missing or slow.
//
// The network, the trackers and the disk are interfaces, so that a session runs
// in a simulation as it does on a machine.
//
// conn.go tells how a connection works and where to read on.
package torrent
