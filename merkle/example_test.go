package merkle_test

import (
	"crypto/sha256"
	"fmt"

	"spate/merkle"
)

func ExampleBuilder() {
	file := make([]byte, 40_000) // three blocks
	tree := merkle.NewBuilder(0)
	for len(file) > 0 {
		block := file[:min(len(file), merkle.BlockSize)]
		leaf := sha256.Sum256(block)
		tree.Add(&leaf)
		file = file[len(block):]
	}
	fmt.Printf("pieces root of %d blocks: %x\n", tree.Len(), tree.Root())
	// Output: pieces root of 3 blocks: c222145b40178f84605e5c7bf86515e2c69ce4d02ef587e4b35d5060542f27b3
}

func ExampleVerify() {
	layer := make([]byte, 5*merkle.HashSize) // the piece layer of a file with five pieces
	for i := range layer {
		layer[i] = byte(i)
	}
	const pieces = 5
	root := merkle.Root(layer, 0)

	// One peer sends two hashes and the uncle hashes that prove them.
	span := merkle.Span{Index: 2, Length: 2, Proof: 2}
	answer, err := merkle.Prove(nil, layer, pieces, span)
	fmt.Println(len(answer)/merkle.HashSize, "hashes", err)

	// Another peer, which has only the root, verifies the hashes.
	fmt.Println(merkle.Verify(answer, pieces, span, merkle.FromRoot(root, pieces)))
	answer[0]++
	fmt.Println(merkle.Verify(answer, pieces, span, merkle.FromRoot(root, pieces)))
	// Output:
	// 4 hashes <nil>
	// <nil>
	// merkle: the hashes do not lead to the root
}
