package dht

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"

	"spate"
	"spate/dht/internal/itemstore"
	"spate/dht/internal/krpc"
	"spate/dht/internal/node"
)

// The limits of items in bytes (BEP 44).
const (
	MaxItemValue = itemstore.MaxValue // of the bencoded value
	MaxItemSalt  = itemstore.MaxSalt
)

// Item is a value of at most [MaxItemValue] bytes that nodes of the DHT store for about two hours (BEP
// 44). An immutable item has a Value only, and its target is the hash of the value. The other
// fields belong to a mutable item, which the owner of a key can replace.
type Item struct {
	Value []byte // bencoded
	Key   []byte // ed25519 public key of 32 bytes, or nil
	Salt  []byte // distinguishes the items of one key; at most [MaxItemSalt] bytes
	Seq   int64  // number of the version; not negative
	Sig   []byte // ed25519 signature of 64 bytes
}

// ErrNoItem is returned by [Node.Get] if no node has the item.
var ErrNoItem = errors.New("dht: no node has the item")

// SignItem returns a mutable item. The number must be greater than that of the version it
// replaces.
func SignItem(key ed25519.PrivateKey, salt []byte, seq int64, value []byte) (Item, error) {
	i, err := itemstore.Sign(key, salt, seq, value)
	if err != nil {
		return Item{}, err
	}
	return Item(*i), nil
}

// Target returns the target under which the item is stored.
func (i Item) Target() [20]byte {
	stored := itemstore.Item(i)
	return stored.Target()
}

// ItemTarget returns the target of the mutable item with a public key and a salt, which may be
// nil.
func ItemTarget(key ed25519.PublicKey, salt []byte) [20]byte { return itemstore.Target(key, salt) }

// TorrentValue returns the value of a mutable item that names the newest torrent of a publisher
// (BEP 46).
func TorrentValue(infoHash spate.InfoHash) []byte { return itemstore.TorrentValue(infoHash) }

// ParseTorrentValue returns the info-hash in the value of an item (BEP 46).
func ParseTorrentValue(value []byte) (spate.InfoHash, error) {
	return itemstore.ParseTorrentValue(value)
}

// Get searches for the item with a target. salt is the salt of a mutable item, because nodes do
// not repeat it. Get checks the hash or the signature, and returns the newest version that it
// finds. It returns [ErrNoItem] if there is none.
func (n *Node) Get(ctx context.Context, target [20]byte, salt []byte) (Item, error) {
	var s *node.Search
	if _, err := n.searchFor(ctx, node.Request{Method: krpc.Get, Target: target, Salt: slices.Clone(salt)}, nil, &s); err != nil && !errors.Is(err, ErrNoNodes) {
		return Item{}, err
	}
	if s.Item == nil {
		return Item{}, ErrNoItem
	}
	return Item(*s.Item), nil
}

// Put stores an item at the nodes closest to its target, which forget it after about two hours:
// put it again every hour to keep it. cas is the number of the version that the item must
// replace, or nil (BEP 44). The error says why the item is not valid, or that no node answered.
func (n *Node) Put(ctx context.Context, item Item, cas *int64) (Result, error) {
	stored := itemstore.Item(item)
	target := stored.Target()
	if err := stored.Verify(target); err != nil {
		return Result{}, err
	}
	return n.search(ctx, node.Request{Method: krpc.Get, Target: target, Salt: item.Salt, Put: &stored, CAS: cas}, nil)
}
