package krpc

import (
	"spate/bencode"
)

// Append appends the encoded message to b. It writes the keys whose values m holds, in the
// order that bencoding requires, and allocates nothing if b has room.
func (m *Message) Append(b []byte) []byte {
	b = append(b, 'd')
	switch m.Kind {
	case Query:
		b = m.appendArguments(append(b, "1:ad"...))
	case Error:
		b = append(b, "1:el"...)
		b = bencode.AppendInt(b, m.Code)
		b = append(bencode.AppendString(b, m.Text), 'e')
	}
	b = m.appendExternal(b)
	if m.Kind == Query {
		b = bencode.AppendString(append(b, "1:q"...), m.Method.String())
	}
	if m.Kind == Response {
		b = m.appendValues(append(b, "1:rd"...))
	}
	b = appendFlag(b, "ro", m.ReadOnly)
	b = bencode.AppendString(append(b, "1:t"...), m.TID)
	b = appendString(b, "v", m.Version)
	return append(b, '1', ':', 'y', '1', ':', byte(m.Kind), 'e')
}

// appendArguments appends the arguments of a query and the end of their dictionary.
func (m *Message) appendArguments(b []byte) []byte {
	if m.HasCAS {
		b = bencode.AppendInt(append(b, "3:cas"...), m.CAS)
	}
	b = append(append(b, "2:id20:"...), m.ID[:]...)
	b = appendFlag(b, "implied_port", m.ImpliedPort)
	if m.HasTarget && m.byInfoHash() {
		b = append(append(b, "9:info_hash20:"...), m.Target[:]...)
	}
	b = appendString(b, "k", m.Key)
	b = appendFlag(b, "noseed", m.NoSeed)
	if m.Port != 0 {
		b = bencode.AppendInt(append(b, "4:port"...), int64(m.Port))
	}
	b = appendString(b, "salt", m.Salt)
	b = appendFlag(b, "scrape", m.Scrape)
	b = appendFlag(b, "seed", m.Seed)
	b = m.appendSeq(b)
	b = appendString(b, "sig", m.Sig)
	if m.HasTarget && !m.byInfoHash() {
		b = append(append(b, "6:target20:"...), m.Target[:]...)
	}
	b = appendString(b, "token", m.Token)
	b = appendRaw(b, "1:v", m.Value)
	if m.Want != 0 {
		b = append(b, "4:wantl"...)
		if m.Want&Want4 != 0 {
			b = append(b, "2:n4"...)
		}
		if m.Want&Want6 != 0 {
			b = append(b, "2:n6"...)
		}
		b = append(b, 'e')
	}
	return append(b, 'e')
}

// byInfoHash reports whether the target of the query has the key info_hash.
func (m *Message) byInfoHash() bool { return m.Method == GetPeers || m.Method == AnnouncePeer }

// appendValues appends the values of a response and the end of their dictionary.
func (m *Message) appendValues(b []byte) []byte {
	b = appendString(b, "BFpe", m.Peers)
	b = appendString(b, "BFsd", m.Seeds)
	b = append(append(b, "2:id20:"...), m.ID[:]...)
	if m.Sampled {
		b = bencode.AppendInt(append(b, "8:interval"...), m.Interval)
	}
	b = appendString(b, "k", m.Key)
	b = appendString(b, "nodes", m.Nodes)
	b = appendString(b, "nodes6", m.Nodes6)
	if m.Sampled {
		b = bencode.AppendInt(append(b, "3:num"...), m.Num)
		b = bencode.AppendString(append(b, "7:samples"...), m.Samples)
	}
	b = m.appendSeq(b)
	b = appendString(b, "sig", m.Sig)
	b = appendString(b, "token", m.Token)
	b = appendRaw(b, "1:v", m.Value)
	if len(m.Values) > 0 {
		b = append(append(append(b, "6:valuesl"...), m.Values...), 'e')
	}
	return append(b, 'e')
}

func (m *Message) appendSeq(b []byte) []byte {
	if !m.HasSeq {
		return b
	}
	return bencode.AppendInt(append(b, "3:seq"...), m.Seq)
}

// appendExternal appends the address of the receiver.
func (m *Message) appendExternal(b []byte) []byte {
	switch {
	case !m.External.IsValid():
		return b
	case m.External.Addr().Unmap().Is4():
		b = append(b, "2:ip6:"...)
	default:
		b = append(b, "2:ip18:"...)
	}
	return appendAddr(b, m.External)
}

// appendString appends a key and its string, if the string is not nil.
func appendString(b []byte, key string, s []byte) []byte {
	if s == nil {
		return b
	}
	return bencode.AppendString(bencode.AppendString(b, key), s)
}

// appendRaw appends an encoded key and its encoded value, if the value is not nil.
func appendRaw(b []byte, key string, raw []byte) []byte {
	if raw == nil {
		return b
	}
	return append(append(b, key...), raw...)
}

// appendFlag appends a key with the number 1, if on is true.
func appendFlag(b []byte, key string, on bool) []byte {
	if !on {
		return b
	}
	return append(bencode.AppendString(b, key), "i1e"...)
}
