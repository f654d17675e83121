package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"spate/bencode"
	"spate/dht"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/signature"
)

// dhtItem is the JSON output of dht get.
type dhtItem struct {
	Target string  `json:"target"`
	Key    string  `json:"key,omitempty"` // public key of a mutable item
	Salt   string  `json:"salt,omitempty"`
	Seq    *int64  `json:"seq,omitempty"` // number of the version of a mutable item
	Sig    string  `json:"sig,omitempty"`
	Text   *string `json:"text,omitempty"` // the value, if it is a string in UTF-8
	Value  []byte  `json:"value"`          // bencoded; base64 in JSON
}

func (a *app) dhtGetCmd() *cobra.Command {
	var opt dhtFlags
	var salt string
	var bencoded bool
	cmd := &cobra.Command{
		Use:   "get TARGET|PUBLIC-KEY",
		Short: "print an item that nodes of the DHT store",
		Long: `Search the DHT for an item (BEP 44) and print its value: the bytes of a string, and the
bencoding of any other value. TARGET is what dht put printed, 40 hex digits.
PUBLIC-KEY stands for the item of a key, whose owner can replace it: 64 hex digits
or a minisign key, and --salt if the owner put the item with one. The hash or the
signature of the item is checked. The exit code is 5 if no node has it.`,
		Example: `  spate dht get e5f96f6f38320f0f33959cb4d3d656452117aadb
  spate dht get --salt news 77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548`,
		Args: need(1, 1, "a TARGET or a PUBLIC-KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := itemTarget(args[0], salt)
			if err != nil {
				return err
			}
			return a.inDHT(cmd.Context(), &opt, func(ctx context.Context, n *dht.Node) error {
				item, err := n.Get(ctx, target, []byte(salt))
				if errors.Is(err, dht.ErrNoItem) {
					return fault.New(fault.NoPeers, "nodes forget an item two hours after it was put", "no node of the DHT has the item %x", target)
				}
				if err != nil {
					return err
				}
				return a.printItem(item, bencoded)
			})
		},
	}
	opt.add(cmd.Flags(), false)
	cmd.Flags().StringVar(&salt, "salt", "", "get the item that was put with this `TEXT`")
	cmd.Flags().BoolVar(&bencoded, "bencoded", false, "print the value in bencoding, as it is stored")
	return cmd
}

// itemTarget returns the target of an item that a user names by its target or its public key.
func itemTarget(arg, salt string) (target [20]byte, err error) {
	if err := checkSalt(salt); err != nil {
		return target, err
	}
	b, err := hex.DecodeString(arg)
	switch {
	case err == nil && len(b) == len(target):
		return [20]byte(b), nil
	case err == nil && len(b) == ed25519.PublicKeySize:
		return dht.ItemTarget(b, []byte(salt)), nil
	}
	key, err := signature.ParsePublicKey(arg)
	if err != nil {
		return target, fault.UsageHint("give 40 or 64 hex digits, or a minisign public key", "%s is no target and no public key", termsafe.Clip(arg, 70))
	}
	return dht.ItemTarget(key.Ed25519(), []byte(salt)), nil
}

func checkSalt(salt string) error {
	if len(salt) > dht.MaxItemSalt {
		return fault.Usagef("--salt has %s, and the limit is %d", units.Plural(len(salt), "byte"), dht.MaxItemSalt)
	}
	return nil
}

func (a *app) printItem(i dht.Item, bencoded bool) error {
	text, isText := i.Value, false
	if d := bencode.NewDecoder(i.Value, bencode.Options{}); d.Kind() == bencode.String {
		if s := d.Bytes(); d.Finish() == nil {
			text, isText = s, utf8.Valid(s)
		}
	}
	if a.JSON {
		target := i.Target()
		out := dhtItem{Target: hex.EncodeToString(target[:]), Key: hex.EncodeToString(i.Key), Sig: hex.EncodeToString(i.Sig), Salt: string(i.Salt), Value: i.Value}
		if i.Key != nil {
			out.Seq = &i.Seq
		}
		if isText {
			s := string(text)
			out.Text = &s
		}
		return a.PrintJSON(out)
	}
	if i.Key != nil {
		a.Notef("version %d of key %x", i.Seq, i.Key)
	}
	if bencoded {
		text = i.Value
	}
	if a.StdoutIsTerminal() {
		return a.Printf("%s\n", strings.TrimSuffix(string(text), "\n"))
	}
	return a.Print(string(text))
}

// dhtPutOptions are the flags of dht put.
type dhtPutOptions struct {
	dhtFlags
	key      string
	password passwordFlags
	salt     string
	seq      int64
	bencoded bool
}

// dhtPutResult is the JSON output of dht put.
type dhtPutResult struct {
	Target  string `json:"target"`
	Key     string `json:"key,omitempty"`
	Salt    string `json:"salt,omitempty"`
	Seq     *int64 `json:"seq,omitempty"`
	Stored  int    `json:"stored"` // nodes that accepted the item
	Queries int    `json:"queries"`
	Answers int    `json:"answers"`
}

func (a *app) dhtPutCmd() *cobra.Command {
	var opt dhtPutOptions
	cmd := &cobra.Command{
		Use:   "put [FILE]",
		Short: "store an item in the DHT for about two hours",
		Long: `Store the bytes of FILE or of standard input in the DHT (BEP 44), where everybody can
read them, and print the target for dht get. The value is a bencoded string of at
most 1000 bytes with its length; with --bencoded it is the value that FILE contains.
Nodes forget it after about two hours: put it again every hour to keep it.

With --key the item belongs to the key, and putting another value replaces it. The key
is one of spate keys new or of minisign, with or without a password, or an Ed25519
key in PEM, without a password: openssl genpkey -algorithm ed25519 -out FILE. A key can
have an item for each --salt. The version with the greatest --seq counts.`,
		Example: `  echo hello | spate dht put
  spate dht put --key ~/.config/spate/minisign.key --salt news news.txt`,
		Args: need(0, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := a.itemValue(args, opt.bencoded)
			if err != nil {
				return err
			}
			var key ed25519.PrivateKey
			switch {
			case opt.key != "":
				key, err = a.itemKey(cmd.Context(), &opt)
			case opt.salt != "" || opt.seq != 0:
				err = fault.Usagef("--salt and --seq need --key")
			}
			if err != nil {
				return err
			}
			return a.inDHT(cmd.Context(), &opt.dhtFlags, func(ctx context.Context, n *dht.Node) error { return a.dhtPut(ctx, n, key, value, &opt) })
		},
	}
	f := cmd.Flags()
	opt.add(f, false)
	f.StringVar(&opt.key, "key", "", "sign the item with the key in this `FILE`")
	f.StringVar(&opt.password.file, "password-file", "", "read the key's password from the first line of `FILE`")
	f.StringVar(&opt.salt, "salt", "", "tell this item of the key from others by `TEXT`")
	f.Int64Var(&opt.seq, "seq", 0, "number of the version; 0 selects a greater one")
	f.BoolVar(&opt.bencoded, "bencoded", false, "store the bencoded value in FILE as it is")
	return cmd
}

// itemValue returns the bencoded value of an item from a file or standard input.
func (a *app) itemValue(args []string, bencoded bool) ([]byte, error) {
	r, name := a.Stdin, "standard input"
	if len(args) > 0 && args[0] != "-" {
		name = args[0]
		f, err := folder.OpenNamed(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	value, err := io.ReadAll(io.LimitReader(r, dht.MaxItemValue+1))
	if err != nil {
		return nil, err
	}
	if !bencoded {
		value = bencode.AppendString(nil, value)
	}
	if len(value) > dht.MaxItemValue {
		return nil, fault.UsageHint("publish makes a torrent of larger data", "%s is too large: an item of the DHT has at most %s with its length", name, units.Plural(dht.MaxItemValue, "byte"))
	}
	d := bencode.NewDecoder(value, bencode.Options{Canonical: true})
	d.Skip()
	if err := d.Finish(); err != nil {
		return nil, fault.UsageHint("leave out --bencoded to store the bytes as a string", "%s is not one bencoded value: %v", name, err)
	}
	return value, nil
}

// itemKey reads the key that signs an item: a minisign key, or an Ed25519 key in PEM.
//
// A signature of an item is none of minisign, and the other way round, so that one key may make both:
// an item begins with "3:seqi" or "4:salt", while minisign signs a hash, and a comment that follows
// the 64 bytes of another signature.
func (a *app) itemKey(ctx context.Context, o *dhtPutOptions) (ed25519.PrivateKey, error) {
	if err := checkSalt(o.salt); err != nil {
		return nil, err
	}
	if o.seq < 0 {
		return nil, fault.Usagef("--seq %d is negative", o.seq)
	}
	file, err := a.secretKeyFile(o.key)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(file)
	if block == nil {
		key, err := a.parseSigningKey(ctx, o.key, file, &o.password)
		if err != nil {
			return nil, err
		}
		return key.Ed25519(), nil
	}
	if block.Type == "PRIVATE KEY" {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := parsed.(ed25519.PrivateKey); err == nil && ok {
			return key, nil
		}
	}
	hint := "make one: openssl genpkey -algorithm ed25519 -out FILE"
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		hint = "decrypt it: openssl pkey -in FILE -out OTHER-FILE"
	}
	return nil, fault.UsageHint(hint, "%s has no Ed25519 key in PEM without a password", o.key)
}

// dhtPut puts an item. key is nil for an immutable one.
func (a *app) dhtPut(ctx context.Context, n *dht.Node, key ed25519.PrivateKey, value []byte, o *dhtPutOptions) error {
	item := dht.Item{Value: value}
	if key != nil {
		seq, err := a.nextSeq(ctx, n, key, o)
		if err != nil {
			return err
		}
		if item, err = dht.SignItem(key, []byte(o.salt), seq, value); err != nil {
			return err
		}
	}
	res, err := n.Put(ctx, item, nil)
	if err != nil {
		return err
	}
	if res.Stored == 0 {
		return fault.New(fault.NoPeers, "try again later", "none of %s accepted the item", units.Plural(res.Answers, "node"))
	}
	target := item.Target()
	out := dhtPutResult{Target: hex.EncodeToString(target[:]), Key: hex.EncodeToString(item.Key), Salt: o.salt, Stored: res.Stored, Queries: res.Queries, Answers: res.Answers}
	if key != nil {
		out.Seq = &item.Seq
	}
	if a.JSON {
		return a.PrintJSON(out)
	}
	stored := units.Plural(res.Stored, "node") + " stored it for about two hours"
	if key != nil {
		stored = fmt.Sprintf("%s as version %d of key %s", stored, item.Seq, out.Key)
	}
	a.Notef("%s", stored)
	return a.Printf("%s\n", out.Target)
}

// nextSeq returns the number of the version to put: the given one, or else the time in seconds. The
// time is greater than the number of a version that all nodes have forgotten. The number must be
// greater than that of the version that nodes have, which would refuse the item otherwise.
func (a *app) nextSeq(ctx context.Context, n *dht.Node, key ed25519.PrivateKey, o *dhtPutOptions) (int64, error) {
	target := dht.ItemTarget(key.Public().(ed25519.PublicKey), []byte(o.salt))
	before, err := n.Get(ctx, target, []byte(o.salt))
	if errors.Is(err, dht.ErrNoItem) {
		before.Seq, err = -1, nil
	}
	switch {
	case err != nil:
		return 0, err
	case o.seq == 0:
		return max(before.Seq+1, a.Now().Unix()), nil
	case o.seq <= before.Seq:
		return 0, fault.UsageHint("give a greater one, or leave it out", "--seq %d: nodes have version %d already", o.seq, before.Seq)
	}
	return o.seq, nil
}
