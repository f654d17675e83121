// Package mse implements Message Stream Encryption, also called Protocol Encryption: the
// handshake with which BitTorrent clients hide what they are from filters in the network, and
// the RC4 stream that may follow it.
//
// It is not a secure channel. A Diffie-Hellman exchange with a group of 768 bits and RC4 hide
// the protocol from whoever only looks at packets; who takes part in the exchange, or knows the
// info-hash and tampers with it, is not kept out. The two sides authenticate nobody.
//
// [Initiator] and [Acceptor] read and write exactly the bytes of the handshake, so that the
// connection can be used as it is afterwards if both sides chose plaintext. Otherwise [NewConn]
// encrypts it.
//
// The specification is "Message Stream Encryption" of the Vuze wiki; no BEP has a number for it.
// Where it and the clients differ, the package does what libtorrent, Transmission and
// qBittorrent do: lengths of pads are from 0 to 512, a shared secret has 96 bytes with leading
// zeros, and the first 1,024 bytes of the key stream are dropped.
package mse
