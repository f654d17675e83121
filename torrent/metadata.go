package torrent

import "spate/peerwire"

// metadataLocked answers a request for a piece of the info dictionary (BEP 9). It
// ignores data and rejects, because a torrent has its metadata and requests none.
func (c *conn) metadataLocked(payload []byte) error {
	m, err := peerwire.ParseMetadata(payload)
	if err != nil || m.Type != peerwire.MetadataRequest || c.ext.handshake.Metadata == 0 {
		return err
	}
	if len(c.tx.control) > maxUnsent {
		return errFlood
	}
	info := c.infoBytes()
	from := m.Piece * peerwire.MetadataPieceLen
	if from >= int64(len(info)) || !c.t.givesMetadata() || len(c.tx.control) > maxUnsent/2 {
		c.tx.control = peerwire.AppendMetadata(c.tx.control, c.ext.handshake.Metadata, &peerwire.MetadataMessage{Type: peerwire.MetadataReject, Piece: m.Piece})
		return nil
	}
	c.tx.control = peerwire.AppendMetadata(c.tx.control, c.ext.handshake.Metadata, &peerwire.MetadataMessage{
		Type: peerwire.MetadataData, Piece: m.Piece, Total: int64(len(info)),
		Data: info[from:min(from+peerwire.MetadataPieceLen, int64(len(info)))],
	})
	return nil
}

// infoBytes returns the info dictionary of the torrent in whose swarm the connection is.
func (c *conn) infoBytes() []byte {
	if c.peer.twin {
		return c.t.twin.Load().info
	}
	return c.t.mi.InfoBytes
}

// givesMetadata reports whether peers may have the info dictionary. It is false for a
// private torrent, because the tracker decides which peers may join (BEP 27).
func (t *Torrent) givesMetadata() bool { return !t.info.Private }
