// Package spate is the vocabulary that every other package of the module
// shares: info-hashes, peer ids and the compact form of peer addresses.
//
// The module is a BitTorrent distribution system. A program that wants one part
// of it imports that part's package: [spate/metainfo] for .torrent files,
// [spate/maker] to make them, [spate/torrent] for the engine,
// [spate/tracker/trackerserver] for a tracker. ARCHITECTURE.md is the map.
package spate
