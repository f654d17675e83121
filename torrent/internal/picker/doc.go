// Package picker decides which blocks to request from which peer.
//
// A [Picker] serves one torrent. It records
//   - which pieces are verified and which are wanted,
//   - which peer has which piece,
//   - the state of each block of the pieces that are being downloaded, and
//   - which peer sent each of these blocks.
//
// It is a plain data structure without a lock, a clock or a goroutine. The
// engine holds the torrent's lock during every call.
//
// # States of a block
//
//	call      change of state         when the engine calls it
//	Pick      free -> requested       it is ready to send requests to a peer
//	Claim     requested -> copying    the block begins to arrive; one caller gets Fresh
//	Arrived   copying -> arrived      the bytes are in the buffer of the piece
//	Abandon   requested -> free       the peer rejected the request, or it timed out
//	Abandon   copying -> free         the copy failed
//
// If a block is requested from several peers, Abandon leaves it requested until
// the last of them has abandoned it. AbandonAll and PeerLeft abandon all
// requests of a peer.
//
// # States of a piece
//
// A piece is wanted if its priority is above 0 and it is not verified. A wanted
// piece is free until Pick returns its first block. Then it is open: it occupies
// one of Config.MaxOpen slots. A slot is a small integer that the engine uses to
// find the buffer of the piece ([Picker.Slot]).
//
// The slot becomes unused when the engine reports that the piece is verified.
// It also becomes unused, and the piece is free again, when the piece has failed
// its hash, when [Picker.Evict] chooses it, and when all its requests are
// abandoned before a block begins to arrive.
//
// # Order of blocks
//
// Pick returns blocks in this order, as far as the peer has their pieces:
//
//  1. Urgent pieces, in the order given to SetUrgent (for streaming).
//  2. For each priority, the highest first: blocks of open pieces, then of free
//     pieces. Of the free pieces the rarest is first, and chance decides among
//     equally rare ones. Until four pieces are verified, chance alone decides.
//  3. Blocks of open pieces that another peer owns.
//  4. With PickOptions.UrgentTwice, urgent blocks that are already requested from
//     one other peer.
//  5. In the endgame, blocks that are already requested from other peers, the
//     oldest request first. The endgame begins when every wanted block that a
//     peer has is requested or has arrived.
//
// A peer with PickOptions.WholePieces owns the pieces that it opens: in step 2
// it gets blocks of its own open pieces and of open pieces that no peer works
// on, which it then owns. Other peers share the open pieces without an owner.
//
// # Parole
//
// If a piece with blocks of several peers fails its hash, it is unknown which of
// them sent bad data. The piece is then on parole: one peer alone downloads it,
// so that another failure has only one possible cause.
//
// # Costs
//
// Pick, Claim, Arrived and Abandon cost O(1) for each block, and PeerHave costs
// O(1). Opening a piece costs O(number of different availabilities), and
// Verified costs O(leechers). None of them allocates in the steady state. A peer
// that joins or leaves with a bitfield costs O(pieces/64) at once, and O(pieces)
// when the next piece is opened.
package picker
