package bitfield_test

import (
	"errors"
	"fmt"

	"spate/bitfield"
)

// A client finds out whether a peer has a piece that it lacks.
func Example() {
	own, peer := bitfield.New(10), bitfield.New(10)
	for i := range 8 {
		own.Set(i)
	}
	peer.Set(3)
	peer.Set(9)
	fmt.Println(own.Count(), "of", own.Len(), "pieces")
	for piece := range own.Zeros() {
		if peer.Get(piece) {
			fmt.Println("request piece", piece)
		}
	}
	fmt.Printf("bitfield message: %x\n", peer.Bytes())
	// Output:
	// 8 of 10 pieces
	// request piece 9
	// bitfield message: 1040
}

// FromBytes checks the bitfield of a peer: its length, and that no bit behind the last piece
// is set.
func ExampleFromBytes() {
	_, err := bitfield.FromBytes([]byte{0xff, 0xff}, 10)
	fmt.Println(errors.Is(err, bitfield.ErrInvalid), err)
	f, err := bitfield.FromBytes([]byte{0xff, 0xc0}, 10)
	fmt.Println(f.All(), err)
	// Output:
	// true invalid bitfield: an unused bit is set
	// true <nil>
}
