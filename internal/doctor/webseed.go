package doctor

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/internal/units"
	"spate/internal/webseed"
	"spate/merkle"
	"spate/metainfo"
)

const (
	sampledPieces  = 3
	maxSampleBytes = 64 << 20 // pieces that are longer are not fetched
	sampleTimeout  = 90 * time.Second
)

// WebSeed checks a web seed of a torrent: whether it sends ranges, answers HEAD, lets pages of
// other sites read its answers, and has the right bytes.
func (w *Web) WebSeed(ctx context.Context, mi *metainfo.MetaInfo, rawURL string, bind netip.Addr, names *net.Resolver) ([]Finding, []ServerTime) {
	name := redacted(rawURL)
	layout := webseed.NewLayout(mi)
	src, err := layout.Source(rawURL)
	if err != nil {
		return []Finding{about("web-seed", name, "the URL cannot be used: %v", err).as(Fail, "correct or remove the URL: spate edit")}, nil
	}
	file := largestFile(&mi.Info)
	if file < 0 {
		return nil, nil
	}
	u, err := src.URL(file)
	if err != nil {
		return []Finding{about("web-seed", name, "the URL cannot be used: %v", err).as(Fail, "correct or remove the URL: spate edit")}, nil
	}
	out, clock, ranges := w.ranges(ctx, u, mi.Info.Files[file].Length)
	if !ranges {
		return out, clock
	}
	out = append(out, w.head(ctx, u, mi.Info.Files[file].Length)...)
	return append(out, w.samples(ctx, mi, src, webseed.Options{Bind: bind, Resolver: names, Proxy: w.via, UserAgent: "spate/" + spate.Version})...), clock
}

// largestFile returns the index of the largest file with data, or -1 if there is none.
func largestFile(info *metainfo.Info) int {
	best := -1
	for i := range info.Files {
		if f := &info.Files[i]; !f.Pad() && f.Length > 0 && (best < 0 || f.Length > info.Files[best].Length) {
			best = i
		}
	}
	return best
}

// within returns where a request for the URL of a web seed may go.
func within(u *url.URL) netguard.Reach {
	if u.RawQuery != "" || u.ForceQuery {
		return netguard.ToPublic
	}
	return netguard.ToMachine
}

// ranges checks that the server sends a range of a file of size bytes, and judges the headers of
// the answer. It returns false if ranges of the file cannot be read.
func (w *Web) ranges(ctx context.Context, u *url.URL, size int64) (out []Finding, clock []ServerTime, ok bool) {
	name := u.Redacted()
	r, err := w.ask(ctx, http.MethodGet, u.String(), within(u), 1, "Range", "bytes=0-0", "Accept-Encoding", "identity", "Origin", "https://example.org")
	if err != nil {
		return []Finding{failed("web-seed", name, "the web seed does not answer", err, w.now())}, nil, false
	}
	out = r.certificate(w.now())
	if r.status == http.StatusOK {
		out = append(out, about("web-seed", name, "the server ignores Range and sends the whole file, so that clients cannot fetch single pieces").
			as(Fail, "use a web server that supports ranges, such as nginx, Caddy or spate"))
		return out, r.clock, false
	}
	if bad := r.badStatus("web-seed", name, "the data", http.StatusPartialContent); bad != nil {
		return append(out, bad...), r.clock, false
	}
	if total := totalOf(r.header.Get("Content-Range")); total >= 0 && total != size {
		out = append(out, about("web-seed", name, "the file has %s, but %s in the torrent", units.Plural(total, "byte"), units.Plural(size, "byte")).
			as(Fail, "put the file of the torrent there, or make a torrent of the new file"))
		return out, r.clock, false
	}
	out = append(out, about("web-seed", name, "the server sends ranges"))
	if v := r.header.Get("Access-Control-Allow-Origin"); v == "*" || v == "https://example.org" {
		out = append(out, about("web-seed-cors", name, "pages of other sites may read the answers (CORS)"))
	} else {
		out = append(out, about("web-seed-cors", name, "pages of other sites may not read the answers, so that clients in browsers cannot use the web seed; the header Access-Control-Allow-Origin: * allows it").as(Note, ""))
	}
	return out, r.clock, true
}

// totalOf returns the size of the file in a Content-Range header (RFC 9110, 14.4), or -1.
func totalOf(v string) int64 {
	_, total, ok := strings.Cut(v, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if !ok || err != nil || n < 0 {
		return -1
	}
	return n
}

// head checks the answer to HEAD, with which some clients ask for the size.
func (w *Web) head(ctx context.Context, u *url.URL, size int64) []Finding {
	name := u.Redacted()
	r, err := w.ask(ctx, http.MethodHead, u.String(), within(u), 0, "Accept-Encoding", "identity")
	switch {
	case err != nil:
		return []Finding{failed("web-seed-head", name, "HEAD fails", err, w.now())}
	case r.status != http.StatusOK:
		return []Finding{about("web-seed-head", name, "the server answers HEAD with %d %s; some clients ask so for the size", r.status, http.StatusText(r.status)).as(Warn, "allow HEAD as well as GET")}
	case r.length >= 0 && r.length != size:
		return []Finding{about("web-seed-head", name, "the answer to HEAD says %s instead of %d", units.Plural(r.length, "byte"), size).as(Warn, "turn off compression of this file")}
	}
	return []Finding{about("web-seed-head", name, "the server answers HEAD")}
}

// samples compares random pieces at the web seed with their hashes.
func (w *Web) samples(ctx context.Context, mi *metainfo.MetaInfo, src *webseed.Source, opt webseed.Options) []Finding {
	name, info := src.String(), &mi.Info
	if info.PieceLength > maxSampleBytes {
		return []Finding{about("web-seed-data", name, "not compared, because the pieces are long").as(Note, "")}
	}
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	client := webseed.NewClient(opt)
	defer client.Close()
	conn := client.Connect(ctx, src)
	defer conn.Close()
	pieces := choose(info.NumPieces())
	checked := 0
	for _, k := range pieces {
		good, known, err := checkPiece(conn, mi, k)
		var file *webseed.FileError
		if errors.As(err, &file) && file.File >= 0 && file.Err == nil {
			return []Finding{about("web-seed-data", name, "piece %d cannot be read: %s", k, file.Error()).as(Fail, "put all files of the torrent there")}
		}
		if err != nil {
			return []Finding{failed("web-seed-data", name, fmt.Sprintf("piece %d cannot be read", k), err, w.now())}
		}
		switch {
		case !known:
		case !good:
			return []Finding{about("web-seed-data", name, "piece %d has other bytes than the torrent", k).as(Fail, "put the data of the torrent there, or make a torrent of the new data")}
		default:
			checked++
		}
	}
	if checked == 0 {
		return []Finding{about("web-seed-data", name, "not compared, because the torrent has no hashes of its pieces").as(Note, "")}
	}
	return []Finding{about("web-seed-data", name, "%s chosen at random %s the right bytes", units.Plural(checked, "piece"), units.Agree(checked, "has", "have"))}
}

// choose returns up to sampledPieces different numbers below n.
func choose(n int) []int {
	if n <= sampledPieces {
		return rand.Perm(n)
	}
	seen := map[int]bool{}
	var out []int
	for len(out) < sampledPieces {
		if k := rand.IntN(n); !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// sampleBuffer is the number of bytes of a piece that are in memory at a time: some blocks.
const sampleBuffer = 16 * merkle.BlockSize

// checkPiece reads a piece and compares it with its hash, without holding the piece in memory. known
// is false if the torrent lacks the hash.
func checkPiece(conn *webseed.Conn, mi *metainfo.MetaInfo, k int) (good, known bool, err error) {
	r := conn.Open(int64(k)*mi.Info.PieceLength, mi.Info.PieceSize(k))
	defer r.Close()
	h := newPieceHash(mi, k)
	buf := make([]byte, sampleBuffer)
	for left := mi.Info.PieceSize(k); left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, sampleBuffer)]
		if err := r.Fill(buf); err != nil {
			return false, false, err
		}
		h.write(buf)
	}
	good, known = h.good()
	return good, known, nil
}

// pieceHash computes the hash of a piece: SHA-1 of v1, or the root of the tree of v2.
type pieceHash struct {
	mi    *metainfo.MetaInfo
	piece int
	v1    hash.Hash // nil: the torrent has v2 hashes only
	v2    *merkle.Builder
}

func newPieceHash(mi *metainfo.MetaInfo, k int) *pieceHash {
	h := &pieceHash{mi: mi, piece: k}
	if mi.Info.HasV1() {
		h.v1 = sha1.New()
	} else {
		h.v2 = merkle.NewBuilder(0)
	}
	return h
}

// write adds data. All but the last must be a multiple of a block.
func (h *pieceHash) write(data []byte) {
	if h.v1 != nil {
		h.v1.Write(data)
		return
	}
	for len(data) > 0 {
		n := min(len(data), merkle.BlockSize)
		sum := sha256.Sum256(data[:n])
		h.v2.Add(&sum)
		data = data[n:]
	}
}

// good reports whether the data has the hash of the torrent. known is false if the torrent lacks it.
func (h *pieceHash) good() (good, known bool) {
	info := &h.mi.Info
	if h.v1 != nil {
		return [sha1.Size]byte(h.v1.Sum(nil)) == info.PieceHashV1(h.piece), true
	}
	at := int64(h.piece) * info.PieceLength
	f := &info.Files[info.FileAt(at)]
	if f.Length <= info.PieceLength {
		return f.PiecesRoot != nil && h.v2.Root() == *f.PiecesRoot, f.PiecesRoot != nil
	}
	layer, n := h.mi.PieceLayer(f), int((at-f.Offset)/info.PieceLength)
	if len(layer) < merkle.HashSize*(n+1) {
		return false, false
	}
	return h.v2.RootAt(merkle.Layer(info.PieceLength)) == [merkle.HashSize]byte(layer[merkle.HashSize*n:]), true
}
