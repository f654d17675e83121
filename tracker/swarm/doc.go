// Package swarm stores the peers of all torrents of a tracker: the swarm of each
// torrent with its peers, the numbers of seeds and leechers, and fair samples of peers
// for announces. It uses no sockets, no files (except for [Dir]), no goroutines and
// no clock: the time is an argument.
//
// The data contains no pointers, so that the garbage collector does not scan it. Each
// peer takes its compact address and four bytes (see shard.go).
package swarm
