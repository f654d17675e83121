// Package sctp is the part of SCTP that a data channel of WebRTC needs: one association with one
// stream, which is ordered and reliable (RFC 9260, RFC 8831, RFC 8832). The caller carries its
// packets in the records of DTLS, which protect them.
//
// A [Channel] has no goroutine. Packets of the other side come by Receive, which decides what to
// send; Flush then sends it, once for many packets. Bytes take this way:
//
//  1. write.go    Write copies bytes into cells, each of which fills one packet
//  2. send.go     fills packets with the cells that the windows allow, in runs of equal sizes
//  3. ack.go      removes the cells that the other side has, and finds those that are lost
//  4. receive.go  takes the bytes of the other side in order, and acknowledges them
//  5. read.go     hands them to Read
//
// setup.go opens the association and the channel, reset.go closes them, and chunk.go has the
// format of packets.
//
// It differs from RFC 9260 in these points. Losses are found by the order in which packets were
// sent, as QUIC does (RFC 9002, 6.1.1), so that a packet that is lost twice needs no timeout. The
// congestion window grows by all bytes that are acknowledged (RFC 9002, 7.3). A message boundary
// means nothing to the caller: a message ends when no more bytes wait.
package sctp
