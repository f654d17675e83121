// Package spate defines the types that all other packages of the module share:
// info-hashes, peer ids and the compact form of peer addresses.
//
// The module is a BitTorrent distribution system. Its parts can be used on their own:
// [spate/metainfo] reads and writes .torrent files, [spate/maker] makes torrents from
// files, [spate/torrent] is the engine that downloads and seeds, and
// [spate/tracker/trackerserver] is a tracker. ARCHITECTURE.md describes all packages.
package spate
