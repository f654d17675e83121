// Package webseed reads ranges of a torrent from web servers (BEP 19).
//
// A [Layout] holds the files of a torrent with the names that its author gave them. A
// [Source] is the URL of one server that has these files. A [Client] opens a [Range] of the
// torrent's byte space at a source. It makes one request for each file in the range, and
// none for padding.
//
// The client checks that an answer is for the requested range before it returns any of its
// bytes. After a [BrokenError] the caller must not use the server again. After a
// [BusyError] it should wait. Any other error can be temporary.
//
// The URLs come from torrents, which anybody can write. See [Client] for the addresses that
// it connects to.
package webseed
