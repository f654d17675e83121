package storage

import (
	"iter"
	"sync/atomic"
)

// fileStates holds the states of the files of a Dir. It allocates a state when it is first used,
// together with those of the neighbours, because a download of one of a million files uses few.
type fileStates struct {
	n      int
	blocks []atomic.Pointer[stateBlock]
}

// stateBlock holds the states of up to statesTogether files in a row.
type stateBlock struct{ states []fileState }

// statesTogether states of 72 bytes fill an allocation of 4 KiB.
const statesTogether = 56

func newFileStates(n int) fileStates {
	return fileStates{n: n, blocks: make([]atomic.Pointer[stateBlock], (n+statesTogether-1)/statesTogether)}
}

// at returns the state of file i.
func (s *fileStates) at(i int) *fileState {
	block := &s.blocks[i/statesTogether]
	b := block.Load()
	if b == nil {
		first := i - i%statesTogether
		block.CompareAndSwap(nil, &stateBlock{make([]fileState, min(statesTogether, s.n-first))})
		b = block.Load()
	}
	return &b.states[i%statesTogether]
}

// used yields the states that were used.
func (s *fileStates) used() iter.Seq[*fileState] {
	return func(yield func(*fileState) bool) {
		for k := range s.blocks {
			b := s.blocks[k].Load()
			if b == nil {
				continue
			}
			for i := range b.states {
				if !yield(&b.states[i]) {
					return
				}
			}
		}
	}
}

// isUsed reports whether the state of file i or of a neighbour was used.
func (s *fileStates) isUsed(i int) bool { return s.blocks[i/statesTogether].Load() != nil }

// fileSet is a set of files. It is safe for concurrent use.
type fileSet []atomic.Uint32

func newFileSet(n int) fileSet { return make(fileSet, (n+31)/32) }

func (s fileSet) has(i int) bool { return s[i/32].Load()&(1<<(i%32)) != 0 }

// set adds file i, and reports whether it was absent.
func (s fileSet) set(i int) bool { return s[i/32].Or(1<<(i%32))&(1<<(i%32)) == 0 }

func (s fileSet) clear(i int) { s[i/32].And(^uint32(1 << (i % 32))) }
