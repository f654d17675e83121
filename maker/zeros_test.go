package maker

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"spate/metainfo"
)

// TestVerifyZeros checks that pieces of zeros count as missing if they do not match, and as good
// if the torrent contains zeros there, in each format.
func TestVerifyZeros(t *testing.T) {
	t.Parallel()
	const piece = 32 << 10
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		for _, size := range []int{1, 100, 16 << 10, piece - 1, piece, piece + 1, 5 * piece, 5*piece + 20_000} {
			data := make([]byte, size)
			for i := 0; i < size; i += sha256.Size {
				sum := sha256.Sum256(fmt.Append(nil, i))
				copy(data[i:], sum[:])
			}
			real := size > 3*piece
			if real { // a piece that really consists of zeros
				clear(data[2*piece : 3*piece])
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "data")
			write := func(b []byte) {
				t.Helper()
				if err := os.WriteFile(path, b, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			write(data)
			m, err := Make(t.Context(), path, Options{Format: format, PieceLength: piece})
			if err != nil {
				t.Fatal(err)
			}
			n := m.Info.NumPieces()
			good := 0
			if real {
				good = 1
			}
			first := append(make([]byte, min(piece, size)), data[min(piece, size):]...)
			wrong := append([]byte(nil), data...)
			wrong[size-1] ^= 1
			both := append([]byte(nil), first...)
			both[size-1] ^= 1
			for _, c := range []struct {
				name             string
				data             []byte
				good, bad, zeros int
				state            FileState
			}{
				{"complete", data, n, 0, 0, FileWhole},
				{"preallocated", make([]byte, size), good, 0, n - good, FileIncomplete},
				{"first piece missing", first, n - 1, 0, 1, FileIncomplete},
				{"last byte wrong", wrong, n - 1, 1, 0, FileDamaged},
				{"first piece missing, last byte wrong", both, max(n-2, 0), 1, min(n-1, 1), FileDamaged},
			} {
				write(c.data)
				r, err := Verify(t.Context(), m, path, VerifyOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if r.Good != c.good || r.Bad != c.bad || r.Zeros != c.zeros || r.Missing != c.zeros || r.Files[0].State != c.state {
					t.Errorf("%v, %d bytes, %s: %d good, %d bad, %d missing, %d of them zeros, %v; want %d, %d, %d, %d, %v", format, size, c.name,
						r.Good, r.Bad, r.Missing, r.Zeros, r.Files[0].State, c.good, c.bad, c.zeros, c.zeros, c.state)
				}
			}
		}
	}
}
