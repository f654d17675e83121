package uplink

// heldBytes is the number of unsent bytes from which a socket counts as holding data.
const heldBytes = 4 << 10

// A sender is what the division of the rate needs to know about a socket.
type sender struct {
	// wrote is how many bytes per second were written to the socket, smoothed over about a second.
	// If the line cannot pace the socket, it is how many were sent.
	wrote float64
	now   float64 // the same since the last sample
	held  bool    // the socket can be paced, and holds written bytes that it has not sent
}

// divide returns the rate at which each sender may send, so that all together send about total
// bytes per second. Without it the data that sockets hold from before the limit would keep the
// queue long. A sender that holds nothing may send at the whole rate, because the limit of what
// is written to it bounds it.
func divide(total float64, senders []sender) []float64 {
	room, sum, held := total, 0.0, 0
	for _, s := range senders {
		if s.held {
			sum += s.wrote
			held++
		} else {
			room -= s.now
		}
	}
	room = max(room, total/20)
	paces := make([]float64, len(senders))
	for i, s := range senders {
		switch {
		case !s.held || held == 1:
			paces[i] = total
		case sum == 0:
			paces[i] = room / float64(held)
		default:
			paces[i] = min(total, max(room*s.wrote/sum, room/float64(4*held)))
		}
	}
	return paces
}
