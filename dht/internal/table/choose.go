package table

import (
	"time"

	"spate/dht/internal/nodeid"
)

// The times between two refreshes of a bucket (BEP 5). A full bucket needs one less often,
// because its nodes are pinged one by one.
const (
	refreshEvery     = 15 * time.Minute
	refreshFullEvery = time.Hour
)

// Closest appends to dst the most nodes that are closest to target, the closest first. It
// leaves out nodes that failed to answer.
func (t *Table) Closest(dst []Node, target ID, most int) []Node {
	if most <= 0 {
		return dst
	}
	from, i := len(dst), t.index(target)
	// The nodes of bucket i share the most bits with target. Those of all later buckets
	// differ from target in bit i, and those of each earlier bucket in an earlier bit.
	dst = t.group(dst, t.buckets[i:i+1], target, from+most)
	if len(dst) < from+most {
		dst = t.group(dst, t.buckets[i+1:], target, from+most)
	}
	for i--; i >= 0 && len(dst) < from+most; i-- {
		dst = t.group(dst, t.buckets[i:i+1], target, from+most)
	}
	return dst
}

// group appends the nodes of some buckets to dst in the order of their distance to target,
// until dst has size nodes.
func (t *Table) group(dst []Node, buckets []bucket, target ID, size int) []Node {
	from := len(dst)
	for i := range buckets {
		for j := range buckets[i].live {
			e := &buckets[i].live[j]
			if e.fails > 0 {
				continue
			}
			if len(dst) >= size {
				if nodeid.Compare(target, e.ID, dst[len(dst)-1].ID) >= 0 {
					continue
				}
				dst = dst[:size-1]
			}
			at := len(dst)
			dst = append(dst, e.Node)
			for ; at > from && nodeid.Compare(target, e.ID, dst[at-1].ID) < 0; at-- {
				dst[at] = dst[at-1]
			}
			dst[at] = e.Node
		}
	}
	return dst
}

// appendAnswering appends the nodes of a bucket that do not fail to dst.
func appendAnswering(dst []Node, live []entry) []Node {
	for i := range live {
		if live[i].fails == 0 {
			dst = append(dst, live[i].Node)
		}
	}
	return dst
}

// Due appends to dst at most most nodes to ping: in each bucket the node that has been
// silent for longest, if it is no longer good. It counts these nodes as pinged.
func (t *Table) Due(dst []Node, now time.Time, most int) []Node {
	for i := range t.buckets {
		if most <= 0 {
			break
		}
		var oldest *entry
		for j := range t.buckets[i].live {
			e := &t.buckets[i].live[j]
			if !e.good(now) && now.Sub(e.pinged) >= retryAfter && (oldest == nil || e.responded.Before(oldest.responded)) {
				oldest = e
			}
		}
		if oldest != nil {
			oldest.pinged = now
			dst = append(dst, oldest.Node)
			most--
		}
	}
	return dst
}

// Refresh returns a random target in a bucket that is due for a lookup (BEP 5), and counts
// the bucket as refreshed. random supplies the free bits of the target.
func (t *Table) Refresh(now time.Time, random ID) (target ID, ok bool) {
	for i := range t.buckets {
		b := &t.buckets[i]
		every := refreshEvery
		if len(b.live) == K {
			every = refreshFullEvery
		}
		if now.Sub(b.refreshed) < every {
			continue
		}
		if b.refreshed.IsZero() {
			b.refreshed = now // a new table fills itself by the first lookup of the own id
			continue
		}
		b.refreshed = now
		target = nodeid.WithPrefix(t.self, i, random)
		if i < len(t.buckets)-1 {
			target[i/8] = target[i/8]&^(0x80>>(i%8)) | ^t.self[i/8]&(0x80>>(i%8))
		}
		return target, true
	}
	return ID{}, false
}
