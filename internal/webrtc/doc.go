// Package webrtc connects to browsers: it makes and accepts WebRTC data channels over a UDP port
// that other protocols share.
//
// Two peers exchange session descriptions (SDP) through a tracker: an offer and an answer. An
// [Endpoint] makes an offer with Offer, and answers the offer of another peer with Answer. When
// the data channel is open, it passes a [Stream] to the function that the caller gave. A Stream
// is a net.Conn: the boundaries of the messages mean nothing, as in WebTorrent.
//
// A connection is made in these steps, each in a file:
//
//  1. sdp.go      describes this side, and parses the description of the other side strictly
//  2. ice.go      finds the address of the other side by checks (ICE, RFC 8445)
//  3. path.go     carries packets between the UDP port and the DTLS handshake
//  4. open.go     makes the DTLS handshake and waits for the data channel
//  5. carrier.go  carries the packets of the data channel in records of DTLS
//  6. stream.go   is the data channel as a byte stream
//
// This side has one UDP port, so that ICE needs no agent with candidates of several kinds: it is
// lite where others can reach the port, and answers checks only. Otherwise, or if the other side is
// lite, it also sends checks. It never resolves the host names of mDNS in which browsers hide their
// addresses; it learns the address from the first check of the browser instead.
//
// The DTLS handshake is that of github.com/pion/dtls. Package record takes its keys over, and
// package sctp is the data channel. From the handshake on, a connection has no goroutine: the packets
// of other peers are handled in calls of [Endpoint.Receive], and what they ask for is sent in
// batches by [Endpoint.Flush].
package webrtc
