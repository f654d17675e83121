package lsd

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"spate"
)

// Bounds of one message: what fits a packet of the smallest networks.
const (
	MaxMessage = 1400 // bytes
	MaxHashes  = 20   // that we put into one
	maxHeard   = 64   // info-hashes that are read of one
	maxLines   = 100
	maxCookie  = 64 // bytes
)

// ErrMessage is the cause of every failure to read a message.
var ErrMessage = errors.New("lsd: not a BT-SEARCH message")

// Message is an announce to the local network (BEP 14).
type Message struct {
	// Host is the group that it was sent to, as the sender wrote it.
	Host string
	// Port is where the sender takes connections of peers.
	Port uint16
	// Hashes are the swarms that it is in.
	Hashes []spate.InfoHash
	// Cookie lets a sender know its own messages; it can be empty.
	Cookie string
}

// Append appends the message as it goes on the wire.
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

// Parse reads a message. It needs a port and an info-hash; what it does not know
// it passes over, as it does with info-hashes that are none. Errors wrap
// ErrMessage.
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
		if err == nil && len(raw) == len(spate.InfoHash{}) && len(m.Hashes) < maxHeard {
			m.Hashes = append(m.Hashes, spate.InfoHash(raw))
		}
	case "cookie":
		if len(value) <= maxCookie {
			m.Cookie = value
		}
	}
}
