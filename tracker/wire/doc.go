// Package wire encodes and decodes announces and scrapes: queries and bencoded
// responses over HTTP (BEP 3, 7, 21, 23, 24, 31, 48), packets over UDP (BEP 15, BEP
// 41), and the JSON messages of WebTorrent over WebSocket.
//
// The functions for servers append to a buffer of the caller, and keep no reference to
// their arguments. They allocate nothing, except for the texts of WebSocket messages. This
// package checks and limits all input, so that its users need not.
package wire
