package torrent

// PieceState is the state of a piece.
type PieceState uint8

// The states of a piece.
const (
	PieceMissing PieceState = iota
	PieceOpen               // some blocks have arrived or are requested
	PieceHave               // verified and written
	PieceSkipped            // missing, and only in files that are not wanted
)

// Pieces returns the state of every piece, or nil while the data is being checked.
func (t *Torrent) Pieces() []PieceState {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pick == nil || t.status.state == StateChecking {
		return nil
	}
	all := make([]PieceState, t.info.NumPieces())
	for i := range all {
		switch {
		case t.pick.Have(i):
			all[i] = PieceHave
		case t.pick.Slot(i) >= 0:
			all[i] = PieceOpen
		case t.pick.Priority(i) == 0:
			all[i] = PieceSkipped
		}
	}
	return all
}
