// Package webseed reads ranges of a torrent from web servers (BEP 19).
//
// A [Layout] holds the files of a torrent with the names that its author gave them. A
// [Source] is the URL of one server that has these files. A [Client] makes a [Conn] to a source,
// which opens a [Range] of the torrent's byte space. It makes one request for each file in the range, and
// none for padding.
//
// The client checks that an answer is for the requested range before it returns any of its
// bytes. If a server sends less than was asked for, or the answer is cut, the client asks for
// the rest. A [FileError] is the fault of one file, so other files of the server can be
// requested. After a [BusyError] the caller should wait. After a [BrokenError] it should
// not use the server for a long time. Any other error is a temporary fault of the whole server.
//
// The URLs come from torrents, which anybody can write. See [Client] for the addresses that
// it connects to.
package webseed
