package torrent

// The parts of the connection slots of a torrent that are for peers that it dials: one in this many.
const (
	dialShare     = 4  // of a download
	seedDialShare = 16 // of a seed, which dials peers that its tracker has told of
)

// fullForLocked reports whether no connection slot is free for a peer that has connected, or that
// was dialled. While a torrent knows peers that it can dial, some slots are for those. Otherwise
// peers that connect at its start, and may be useless, would keep it from all others.
func (t *Torrent) fullForLocked(incoming bool) bool {
	slots := t.s.opt.MaxConnsPerTorrent
	free := slots - t.peerConns.n
	kept := slots / dialShare
	if t.status.state == StateSeeding {
		kept = slots / seedDialShare
	}
	if free <= 0 || !incoming || free > kept {
		return free <= 0
	}
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && !c.peer.incoming {
			kept--
		}
	}
	dialable := 0
	for _, l := range t.listsLocked() {
		dialable += l.Dialable(kept)
	}
	return free <= min(kept, dialable)
}
