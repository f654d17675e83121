// Package transport moves bytes between the engine and its peers.
//
// Every kind of connection takes the same path. A [Socket] is what one kind brings: it
// reads what has arrived into a buffer that it is given, writes a vector of buffers,
// and says when it is readable. A [Conn] adds what all kinds share: read buffers that
// idle connections do not hold, rate limits, and the loop that reads.
//
// One connection works in this order; the functions stand in it:
//
//  1. Receive        waits without a buffer until the socket is readable
//  2. Inbox.Space    takes a buffer from the free lists that the session shares
//  3. TryRead        reads as much as has arrived, after a pause if the peer is fast
//  4. Handler        parses and handles whole messages in place
//  5. waitFor        waits while a download limit is exceeded, so that the peer is
//     held back by its full socket
//
// Control messages are written by the reader with TryWrite as far as the socket takes
// them at once. Everything else is written with Write and WriteBuffers, which wait, by
// a goroutine of the caller's.
package transport
