package peerwire_test

import (
	"fmt"
	"log"

	"spate"
	"spate/peerwire"
)

// Exchange handshakes: each side sends its own and checks that of the other.
func ExampleParseHandshake() {
	hash, err := spate.ParseInfoHash("9a7cdcc218085d64ed176ddfd5bb8260dc1ef509")
	if err != nil {
		log.Fatal(err)
	}
	sent := peerwire.Handshake{InfoHash: hash, PeerID: spate.PeerID([]byte("-XX0100-abcdefghijkl"))}
	sent.Reserved.SetExtended() // BEP 10
	b := sent.Append(nil)
	fmt.Println(len(b) == peerwire.HandshakeLen)

	got, err := peerwire.ParseHandshake(b)
	fmt.Println(got.InfoHash == hash, got.Reserved.Extended(), got.Reserved.Fast(), err)
	// Output:
	// true
	// true true false <nil>
}

// Parse decodes the messages in a buffer one after the other, and says how many bytes it needs
// for a message that is not complete.
func ExampleParse() {
	b := peerwire.AppendSimple(nil, peerwire.Unchoke)
	b = peerwire.AppendIndexed(b, peerwire.Have, 7)
	b = peerwire.AppendBlock(b, peerwire.Request, 7, 0, peerwire.BlockLen)
	b = b[:len(b)-1] // the last byte has not arrived yet
	var m peerwire.Message
	for {
		n, need, err := peerwire.Parse(b, &m)
		if err != nil {
			log.Fatal(err) // close the connection
		}
		if n == 0 {
			fmt.Println("have", len(b), "bytes, need", need)
			return
		}
		fmt.Println(m.ID, m.Index)
		b = b[n:]
	}
	// Output:
	// unchoke 0
	// have 7
	// have 16 bytes, need 17
}
