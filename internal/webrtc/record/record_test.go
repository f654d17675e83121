package record

import (
	"bytes"
	"encoding/gob"
	"testing"
)

// state is the encoded state of a handshake.
type state handshake

func (s state) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(handshake(s))
	return b.Bytes(), err
}

func complete(client bool) state {
	s := state{HandshakeComplete: true, LocalEpoch: 1, RemoteEpoch: 1, CipherSuiteID: ecdheECDSA,
		MasterSecret: bytes.Repeat([]byte{7}, 48), SequenceNumber: 1, IsClient: client}
	s.LocalRandom[0], s.RemoteRandom[0] = 1, 2
	if !client {
		s.LocalRandom, s.RemoteRandom = s.RemoteRandom, s.LocalRandom
	}
	return s
}

// pair returns both ends of a connection.
func pair(t testing.TB) (seal *Sealer, open *Opener) {
	seal, _, err := Import(complete(true))
	if err != nil {
		t.Fatal(err)
	}
	_, open, err = Import(complete(false))
	if err != nil {
		t.Fatal(err)
	}
	return seal, open
}

func sealed(t testing.TB, s *Sealer, kind byte, text string) []byte {
	b := append(make([]byte, Before, Overhead+len(text)), text...)
	b, err := s.Seal(kind, b)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRecordsArriveOnce checks that records are opened in any order, once each, and that the other
// records of a packet survive one that is not authentic.
func TestRecordsArriveOnce(t *testing.T) {
	t.Parallel()
	s, o := pair(t)
	var all [][]byte
	for range 100 {
		all = append(all, sealed(t, s, TypeData, "some data"))
	}
	open := func(i int) bool {
		kind, payload, rest, ok := o.Open(bytes.Clone(all[i]))
		if ok && (kind != TypeData || string(payload) != "some data" || len(rest) != 0) {
			t.Errorf("record %d is %d, %q, %q", i, kind, payload, rest)
		}
		return ok
	}
	for _, c := range []struct {
		i  int
		ok bool
	}{{5, true}, {3, true}, {5, false}, {3, false}, {4, true}, {70, true}, {7, true}, {6, false}, {99, true}, {36, true}, {35, false}, {36, false}} {
		if open(c.i) != c.ok {
			t.Errorf("record %d: opened %v, want %v", c.i, !c.ok, c.ok)
		}
	}
	forged := bytes.Clone(all[50])
	forged[len(forged)-1] ^= 1
	_, _, rest, ok := o.Open(append(forged, all[51]...))
	if ok {
		t.Error("a forged record was opened")
	}
	if _, _, _, ok = o.Open(rest); !ok {
		t.Error("the record after a forged one was not opened")
	}
	if !open(50) {
		t.Error("a forged record kept the authentic one out")
	}
}

// TestImportRefuses checks that no keys are taken over from handshakes that are not complete, or
// have another cipher.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*state){
		"not complete":  func(s *state) { s.HandshakeComplete = false },
		"other cipher":  func(s *state) { s.CipherSuiteID = 0xc00a },
		"no secret":     func(s *state) { s.MasterSecret = nil },
		"connection id": func(s *state) { s.LocalConnectionID = []byte{1} },
	} {
		s := complete(true)
		change(&s)
		if _, _, err := Import(s); err == nil {
			t.Errorf("%s: the keys were taken over", name)
		}
	}
}

// TestSequenceEnds checks that no sequence number is used twice.
func TestSequenceEnds(t *testing.T) {
	t.Parallel()
	s, _ := pair(t)
	s.next = maxSeq
	sealed(t, s, TypeData, "last")
	if _, err := s.Seal(TypeData, make([]byte, Before+1, Overhead+1)); err != ErrUsedUp {
		t.Errorf("Seal returned %v", err)
	}
}

// TestAllocations checks that records need no memory of their own.
func TestAllocations(t *testing.T) {
	s, o := pair(t)
	b := make([]byte, Before+1000, Overhead+1000)
	if n := testing.AllocsPerRun(100, func() {
		r, _ := s.Seal(TypeData, b)
		if _, _, _, ok := o.Open(r); !ok {
			t.Fatal("not opened")
		}
	}); n > 0 {
		t.Errorf("%v allocations for each record", n)
	}
}

// FuzzOpen checks that no packet makes Open panic or is taken for authentic.
func FuzzOpen(f *testing.F) {
	s, _ := pair(f)
	f.Add(sealed(f, s, TypeAlert, "\x01\x00"))
	f.Add(append(sealed(f, s, TypeData, "x"), 22, 0xfe, 0xfd))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, o := pair(t)
		o.nonce[0] ^= 1 // other keys than those of the corpus
		for at := 0; len(b) > 0 && at < 100; at++ {
			_, _, rest, ok := o.Open(b)
			if ok {
				t.Fatalf("%x was opened", b)
			}
			if len(rest) >= len(b) {
				t.Fatal("Open does not get on")
			}
			b = rest
		}
	})
}
