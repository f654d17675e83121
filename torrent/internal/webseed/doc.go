// Package webseed reads ranges of a torrent from web servers (BEP 19).
//
// A [Layout] knows the files of a torrent by the names that its author gave them,
// a [Source] where one server keeps them. A [Client] opens a [Range] of the
// torrent's byte space at a source: one request for each file that the range
// touches, padding without any.
//
// What a server answers is held against what was asked before any of it is
// handed on. The errors say what is to be done: a [BrokenError] is a server that
// is not to be asked again, a [BusyError] one that wants to be left alone for a
// while, anything else is bad luck that may pass.
//
// URLs come from torrents, which anybody may have written: see [Client] for where
// they may lead.
package webseed
