// Package picker decides which blocks of a torrent are asked of which peer.
//
// A Picker is the one owner of four things: which pieces we have and want, who
// has which piece, the state of every block of the pieces that are being
// fetched, and who sent each of those blocks. It is a plain data structure: no
// lock, no clock, no goroutine. The caller holds the torrent's lock around
// every call.
//
// # A block's way
//
//	Pick     free -> requested      the engine writes the request
//	Claim    requested -> copying   the block arrives; exactly one caller gets Fresh
//	Arrived  copying -> arrived     the bytes are in the piece's buffer
//	Verified, Failed                the piece was hashed; its slot is free again
//	Abandon  requested -> free      choke, timeout, reject, disconnect
//
// # A piece's way
//
// A wanted piece is free (in the order by availability) until its first block is
// picked. Then it is open: it occupies one of Config.MaxOpen slots until it is
// verified, failed, evicted, or given back because all its requests were
// abandoned before a block came. A slot is a small integer that the engine may
// use to index its buffers ([Picker.Slot]).
//
// # Order of preference
//
// Urgent pieces first (streaming), then by priority, and within a priority:
// blocks of pieces that are open, then a new piece, the rarest one, at random
// among equals; pieces are random until we have four. A peer that takes whole
// pieces keeps to its own open piece, then adopts an abandoned one, then opens
// a new one, and shares only when nothing else is left; the others share open
// pieces. When every wanted block that somebody has is requested, the endgame
// asks a second peer for what is outstanding elsewhere, longest wait first.
//
// # Costs
//
// Pick, Claim, Arrived and Abandon cost O(1) a block, PeerHave O(1), opening a
// piece O(distinct availabilities), Verified O(peers that are no seeds); none
// of them allocates in the steady state. A bitfield that comes or goes costs
// O(pieces/64) at once and O(pieces) at the next new piece.
package picker
