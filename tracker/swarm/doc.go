// Package swarm keeps the peers of all torrents of a tracker: who is in which
// swarm, how many seeds and leechers it has, and a fair sample of them for
// whoever announces. It has no sockets, no files (but for [Store]), no
// goroutines and no clock: the time is an argument.
//
// The data hold no pointers, so that the garbage collector never looks at
// them, and a peer costs its wire address and four bytes (see shard.go).
package swarm
