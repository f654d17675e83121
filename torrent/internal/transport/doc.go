// Package transport moves bytes between the engine and its peers.
//
// All kinds of connections share most code. A [Socket] is the part that differs: it reads
// the bytes that have arrived into a given buffer, writes a vector of buffers, and reports
// when it is readable. A [Conn] is the shared part: read buffers that idle connections do
// not hold, rate limits, and the loop that reads.
//
// A connection works in these steps:
//
//  1. Receive        waits without a buffer until the socket is readable
//  2. Inbox.Space    takes a buffer from the free lists that the session shares
//  3. TryRead        reads as much as has arrived, after a pause if the peer is fast
//  4. Handler        parses and handles whole messages in place
//  5. waitFor        waits while a download limit is exceeded, so that the peer is
//     held back by its full socket
//
// encrypted.go puts encryption (MSE) on a Socket: it decrypts after step 3 in the buffer that was
// read into, and encrypts in the buffers that are written.
//
// The reader writes control messages with TryWrite, as many bytes as the socket takes
// without waiting. A goroutine of the caller writes everything else with Write and
// WriteBuffers, which wait.
package transport
