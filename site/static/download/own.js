// A file that the visitor has already: which of its pieces are good.

const batchBytes = 4 << 20; // stored at once

// checkFile compares a File with a file of the torrent, stores its good pieces, [index,
// bytes] each, with put, and calls progress with the share that is checked. Pieces that reach into other files cannot be
// checked. It resolves to {pieces, good, wrong}, where wrong has the ranges of bytes
// [from, to) of the file that differ or are missing.
export async function checkFile(file, torrent, index, put, progress) {
  const f = torrent.files[index], row = torrent.piecesOf(index);
  const found = { pieces: 0, good: 0, wrong: [], size: file.size, want: f.length };
  if (!row) return found;
  let told = 0, good = [], goodBytes = 0;
  const store = async () => {
    if (good.length > 0) await put(good);
    good = [];
    goodBytes = 0;
  };
  for (let i = row[0]; i <= row[1]; i++) {
    const at = i * torrent.pieceLength - f.offset, size = torrent.pieceSize(i);
    if (Date.now() - told > 200) {
      told = Date.now();
      progress((i - row[0]) / (row[1] - row[0] + 1));
    }
    const bytes = await whole(file, torrent, f, i, at, size);
    if (!bytes) continue;
    found.pieces++;
    if (await torrent.check(i, bytes)) {
      found.good++;
      good.push([i, bytes]);
      goodBytes += bytes.length;
      if (goodBytes >= batchBytes) await store();
      continue;
    }
    const from = Math.max(0, at), to = Math.min(f.length, at + size), last = found.wrong.at(-1);
    if (last && last[1] === from) last[1] = to;
    else found.wrong.push([from, to]);
  }
  await store();
  progress(1);
  return found;
}

// whole returns the bytes of piece i of the torrent, which begins at byte at of the file. It
// returns null if other files have a part of the piece; pad files are zeros.
async function whole(file, torrent, f, i, at, size) {
  const bytes = new Uint8Array(size);
  for (const part of torrent.parts(i * torrent.pieceLength, size)) {
    const other = torrent.files[part.file];
    if (other !== f && !other.pad) return null;
  }
  const from = Math.max(0, at), to = Math.min(file.size, f.length, at + size);
  if (to > from) bytes.set(new Uint8Array(await file.slice(from, to).arrayBuffer()), from - at);
  return bytes;
}
