// A file that the visitor has already: which of its pieces are good.

const batchBytes = 4 << 20; // stored at once

// checkFile compares a File with a file of the torrent, stores its good pieces, [index,
// bytes] each, with put, and calls progress with the share that is checked. It resolves to
// {pieces, good, wrong, unchecked, size, want}: wrong has the ranges of bytes [from, to) of the file
// that differ or are missing, and unchecked is the number of bytes in pieces that reach into other
// files, which cannot be checked.
export async function checkFile(file, torrent, index, put, progress) {
  const f = torrent.files[index], row = torrent.piecesOf(index);
  const found = { pieces: 0, good: 0, wrong: [], unchecked: 0, size: file.size, want: f.length };
  if (!row) return found;
  let told = 0, good = [], goodBytes = 0;
  const store = async () => {
    if (good.length > 0) await put(good);
    good = [];
    goodBytes = 0;
  };
  for (let i = row[0]; i <= row[1]; i++) {
    const at = i * torrent.pieceLength - f.offset, size = torrent.pieceSize(i);
    const from = Math.max(0, at), to = Math.min(f.length, at + size);
    if (Date.now() - told > 200) {
      told = Date.now();
      progress((i - row[0]) / (row[1] - row[0] + 1));
    }
    if (shared(torrent, f, i, size)) {
      found.unchecked += to - from;
      continue;
    }
    found.pieces++;
    // A file that ends before does not have the piece, even if the rest is zeros.
    const bytes = file.size >= to && new Uint8Array(size);
    if (bytes) bytes.set(new Uint8Array(await file.slice(from, to).arrayBuffer()), from - at);
    if (bytes && (await torrent.check(i, bytes))) {
      found.good++;
      good.push([i, bytes]);
      goodBytes += bytes.length;
      if (goodBytes >= batchBytes) await store();
      continue;
    }
    const last = found.wrong.at(-1);
    if (last && last[1] === from) last[1] = to;
    else found.wrong.push([from, to]);
  }
  await store();
  progress(1);
  return found;
}

// shared reports whether another file has a part of a piece. Pad files are zeros.
const shared = (torrent, f, i, size) => torrent.parts(i * torrent.pieceLength, size).some((part) => {
  const other = torrent.files[part.file];
  return other !== f && !other.pad;
});
