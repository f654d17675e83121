package lsd

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"spate"
)

// Limits on one message. It must fit into one packet on any network.
const (
	MaxMessage      = 1400 // longest message in bytes
	MaxHashes       = 20   // info-hashes in a message of this client
	maxParsedHashes = 64   // info-hashes that are read from a message
	maxLines        = 100
	maxCookie       = 64 // longest cookie in bytes
)

// ErrMessage is returned by [Parse] for a malformed message.
var ErrMessage = errors.New("lsd: not a BT-SEARCH message")

// Message announces swarms to the local network (BEP 14).
type Message struct {
	// Host is the address of the group that the message was sent to, as the sender
	// wrote it.
	Host string
	// Port is the port on which the sender accepts peers.
	Port uint16
	// Hashes are the info-hashes of the announced swarms.
	Hashes []spate.InfoHash
	// Cookie lets a sender recognize its own messages. It can be empty.
	Cookie string
}

// Append appends the encoded message to b.
func (m *Message) Append(b []byte) []byte {
	b = append(b, "BT-SEARCH * HTTP/1.1\r\nHost: "...)
	b = append(b, m.Host...)
	b = append(b, "\r\nPort: "...)
	b = strconv.AppendUint(b, uint64(m.Port), 10)
	for _, h := range m.Hashes {
		b = append(b, "\r\nInfohash: "...)
		b = hex.AppendEncode(b, h[:])
	}
	if m.Cookie != "" {
		b = append(b, "\r\ncookie: "...)
		b = append(b, m.Cookie...)
	}
	return append(b, "\r\n\r\n\r\n"...)
}

// Parse parses a message, which must have a port and at least one valid info-hash. It
// ignores unknown headers and invalid info-hashes. The error is [ErrMessage].
func Parse(b []byte) (Message, error) {
	var m Message
	if len(b) > MaxMessage {
		return m, ErrMessage
	}
	first, rest, _ := strings.Cut(string(b), "\r\n")
	if !strings.HasPrefix(first, "BT-SEARCH * HTTP/1.") {
		return m, ErrMessage
	}
	for range maxLines {
		line, more, ended := strings.Cut(rest, "\r\n")
		if !ended || line == "" {
			break
		}
		rest = more
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return Message{}, ErrMessage
		}
		m.header(strings.ToLower(name), strings.TrimSpace(value))
	}
	if m.Port == 0 || len(m.Hashes) == 0 {
		return Message{}, ErrMessage
	}
	return m, nil
}

func (m *Message) header(name, value string) {
	switch name {
	case "host":
		m.Host = value
	case "port":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil {
			m.Port = uint16(n)
		}
	case "infohash":
		raw, err := hex.DecodeString(value)
		if err == nil && len(raw) == len(spate.InfoHash{}) && len(m.Hashes) < maxParsedHashes {
			m.Hashes = append(m.Hashes, spate.InfoHash(raw))
		}
	case "cookie":
		if len(value) <= maxCookie {
			m.Cookie = value
		}
	}
}
