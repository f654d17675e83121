// Package legacy is what the BitTorrent tools of 2005 looked like from outside:
// their names, their options with the defaults of that time, the syntax of their
// command lines, and the layout of what they printed. It runs nothing: the
// program does the work, and asks this package how the old tool was asked and how
// it would have answered.
//
// The options are those of the manual pages of bittorrent 3.4.2 (as Debian had
// it) and of BitTornado 0.3.18. Every one is accepted: it works, or it is known
// why it means nothing any more.
package classic
