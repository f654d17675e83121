package record

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
)

// handshake is the part of the state of a pion connection that this package needs. The names are
// those of the encoding of pion's State.
type handshake struct {
	HandshakeComplete         bool
	LocalEpoch, RemoteEpoch   uint16
	LocalRandom, RemoteRandom [32]byte
	CipherSuiteID             uint16
	MasterSecret              []byte
	SequenceNumber            uint64 // the next one of this side
	LocalConnectionID         []byte
	RemoteConnectionID        []byte
	IsClient                  bool
}

// Cipher suites with AES-128-GCM and SHA-256 (RFC 5289).
const (
	ecdheECDSA = 0xc02b
	ecdheRSA   = 0xc02f
)

const keyLen = 16

var errState = errors.New("the state of the handshake is not one that can be taken over")

// Import returns the two directions of a connection after its handshake. state is the State of a
// connection of github.com/pion/dtls with AES-128-GCM. That connection must send no record after
// the state was read, because two records with one sequence number are not secret.
func Import(state encoding.BinaryMarshaler) (*Sealer, *Opener, error) {
	b, err := state.MarshalBinary()
	if err != nil {
		return nil, nil, fmt.Errorf("DTLS keys: %w", err)
	}
	var h handshake
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&h); err != nil {
		return nil, nil, fmt.Errorf("DTLS keys: %w", err)
	}
	suite := h.CipherSuiteID == ecdheECDSA || h.CipherSuiteID == ecdheRSA
	if !h.HandshakeComplete || h.LocalEpoch != epoch || h.RemoteEpoch != epoch || !suite || len(h.MasterSecret) == 0 ||
		len(h.LocalConnectionID)+len(h.RemoteConnectionID) > 0 || h.SequenceNumber > maxSeq {
		return nil, nil, fmt.Errorf("DTLS keys: %w", errState)
	}
	return fromSecret(&h)
}

// fromSecret derives the keys (RFC 5246, 6.3).
func fromSecret(h *handshake) (*Sealer, *Opener, error) {
	client, server := h.LocalRandom, h.RemoteRandom
	if !h.IsClient {
		client, server = server, client
	}
	seed := append([]byte("key expansion"), server[:]...)
	seed = append(seed, client[:]...)
	keys := expand(h.MasterSecret, seed, 2*keyLen+2*saltLen)
	ofClient, ofServer := keys[:keyLen], keys[keyLen:2*keyLen]
	saltClient, saltServer := keys[2*keyLen:2*keyLen+saltLen], keys[2*keyLen+saltLen:]
	s, o := &Sealer{next: h.SequenceNumber}, &Opener{}
	if !h.IsClient {
		ofClient, ofServer, saltClient, saltServer = ofServer, ofClient, saltServer, saltClient
	}
	if err := s.set(ofClient, saltClient); err != nil {
		return nil, nil, err
	}
	return s, o, o.set(ofServer, saltServer)
}

func (h *half) set(key, salt []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	h.aead, err = cipher.NewGCM(block)
	copy(h.nonce[:], salt)
	return err
}

// expand returns n bytes of the pseudorandom function with SHA-256 (RFC 5246, 5).
func expand(secret, seed []byte, n int) (out []byte) {
	sum := func(parts ...[]byte) []byte {
		m := hmac.New(sha256.New, secret)
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}
