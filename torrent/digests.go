package torrent

import (
	"crypto/sha1"

	"spate"
	"spate/peerwire/mse"
)

// digests finds the info-hash for the digest with which an encrypted handshake names a torrent. It
// has the info-hashes that the session has now, by the first bytes of their digests, which need less
// memory than whole digests. Session.mu guards it. It is nil in a session without encryption.
type digests map[[8]byte]spate.InfoHash

func newDigests(e Encryption) digests {
	if e == EncryptionOff {
		return nil
	}
	return digests{}
}

// nameLocked adds an info-hash that the session has now.
func (s *Session) nameLocked(ih spate.InfoHash) {
	if s.digests != nil {
		d := mse.Digest(ih)
		s.digests[[8]byte(d[:8])] = ih
	}
}

// unnameLocked removes the info-hashes that the session has no longer.
func (s *Session) unnameLocked(hashes ...spate.InfoHash) {
	for _, ih := range hashes {
		if d := mse.Digest(ih); s.digests[[8]byte(d[:8])] == ih && !s.knowsLocked(ih) {
			delete(s.digests, [8]byte(d[:8]))
		}
	}
}

// knowsLocked reports whether the session has or seeks the torrent with an info-hash.
func (s *Session) knowsLocked(ih spate.InfoHash) bool {
	return s.torrents[ih] != nil || s.fetches[ih] != nil || s.dormant.by[ih] != nil
}

// hashOf returns the info-hash with a digest, and whether the session has it.
func (s *Session) hashOf(digest [sha1.Size]byte) (spate.InfoHash, bool) {
	s.mu.Lock()
	ih, ok := s.digests[[8]byte(digest[:8])]
	s.mu.Unlock()
	return ih, ok && mse.Digest(ih) == digest
}
