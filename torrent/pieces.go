package torrent

// PieceState is what there is of a piece.
type PieceState uint8

// The states of a piece.
const (
	PieceMissing PieceState = iota
	PieceOpen               // being put together from blocks
	PieceHave               // verified and written
	PieceSkipped            // missing, and in no file that is wanted
)

// Pieces returns the state of every piece; nil while they are being checked.
func (t *Torrent) Pieces() []PieceState {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pick == nil || t.state == StateChecking {
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
