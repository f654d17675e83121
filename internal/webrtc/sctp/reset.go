package sctp

import "encoding/binary"

// Parameters of RE-CONFIG chunks and the results of requests (RFC 6525, 4).
const (
	paramResetOut    = 13
	paramResetAnswer = 16
	paramRequestsEnd = 18 // the requests have the numbers from 13 to this one, but for the answer

	resultDone       = 1
	resultDenied     = 2
	resultInProgress = 6
)

// receiveReconfig handles the other side's requests to close streams, which are how a browser
// closes a data channel (RFC 8831, 6.7).
func (c *Channel) receiveReconfig(b []byte) {
	for range maxParams {
		kind, v, rest, ok := nextParam(b)
		if !ok {
			return
		}
		b = rest
		if kind < paramResetOut || kind > paramRequestsEnd || kind == paramResetAnswer || len(v) < 4 {
			continue
		}
		result := uint32(resultDenied)
		if kind == paramResetOut && len(v) >= resetHeader-paramHeader {
			result = c.closeStreams(binary.BigEndian.Uint32(v[8:]), v[resetHeader-paramHeader:])
		}
		answer := appendParam(nil, paramResetAnswer, binary.BigEndian.AppendUint32(append([]byte(nil), v[:4]...), result))
		c.reply(kindReconfig, answer)
	}
}

// closeStreams closes this side's stream if it is among those of a request, or if the request is
// for all. last is the last TSN before the request.
func (c *Channel) closeStreams(last uint32, streams []byte) (result uint32) {
	if before(c.rx.cumulative, last) {
		return resultInProgress // the other side asks again
	}
	all := len(streams) < 2
	for ; len(streams) >= 2; streams = streams[2:] {
		all = all || binary.BigEndian.Uint16(streams) == c.stream
	}
	if all && c.hasStream {
		c.reset = true
		c.readers.wake()
		c.writers.wake()
	}
	return resultDone
}

// sendReset asks the other side to close the stream.
func (c *Channel) sendReset() {
	var v []byte
	v = binary.BigEndian.AppendUint32(v, c.tx.firstReset)
	v = binary.BigEndian.AppendUint32(v, 0)
	v = binary.BigEndian.AppendUint32(v, c.tx.first+uint32(c.tx.sent)-1)
	v = binary.BigEndian.AppendUint16(v, c.stream)
	c.sendChunk(kindReconfig, 0, appendParam(nil, paramResetOut, v))
}
