// Package classic runs the BitTorrent tools of 2005 under their old names: it parses their
// command lines, with the defaults of that time, and prints in their layout. The packages of
// this module do the work.
//
// The options are those in the manual pages of bittorrent 3.4.2 (in Debian) and of BitTornado
// 0.3.18. All are accepted: an option works, or a message says why it has no effect.
package classic
