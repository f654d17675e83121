// The .torrent file: BEP 3 (v1), BEP 47 (pad files) and BEP 52 (v2).
import { decode, hex, textOf } from "./bencode.js";
import { blockSize, equal, hash, hashList, pieceRoot, treeRoot } from "./hash.js";

const maxPieceLength = 64 << 20;
const utf8 = new TextDecoder();

const text = (bytes, what) => {
  if (!(bytes instanceof Uint8Array)) throw new Error(`the torrent has no ${what}`);
  return utf8.decode(bytes);
};
const count = (n, what) => {
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`the torrent has a bad ${what}`);
  return n;
};
// safe checks a part of a path, because it becomes the name of a file.
const safe = (part) => {
  if (part === "" || part === "." || part === ".." || /[/\\\0]/.test(part)) throw new Error(`the torrent has the bad file name ${part}`);
  return part;
};

// filesV1 returns the files of a v1 info dictionary.
function filesV1(info, name) {
  if (!info.get("files")) return [{ path: [name], length: count(info.get("length"), "length"), offset: 0, pad: false }];
  let offset = 0;
  return info.get("files").map((f) => {
    const file = {
      path: f.get("path").map((p) => safe(text(p, "path"))),
      length: count(f.get("length"), "length"), offset,
      pad: f.get("attr") instanceof Uint8Array && textOf(f.get("attr")).includes("p"),
    };
    offset += file.length;
    return file;
  });
}

// filesV2 returns the files of a v2 info dictionary in the order of their pieces. Each file
// begins with a piece of its own.
function filesV2(info, pieceLength) {
  const files = [];
  let offset = 0;
  const walk = (tree, path) => {
    for (const [key, value] of tree) {
      if (key !== "") {
        walk(value, [...path, safe(utf8.decode(Uint8Array.from(key, (c) => c.charCodeAt(0))))]);
        continue;
      }
      const length = count(value.get("length"), "length");
      files.push({ path, length, offset, pad: false, root: value.get("pieces root") });
      offset += Math.ceil(length / pieceLength) * pieceLength;
    }
  };
  walk(info.get("file tree"), []);
  return files;
}

// parse resolves to the [Torrent] of a .torrent file. It throws an Error for a bad file. A
// hybrid torrent is used as a v1 torrent.
export async function parse(bytes) {
  const file = decode(bytes);
  const info = file instanceof Map ? file.get("info") : null;
  if (!(info instanceof Map)) throw new Error("the torrent has no info dictionary");
  const pieceLength = count(info.get("piece length"), "piece length");
  if (pieceLength < 1 || pieceLength > maxPieceLength) throw new Error("the torrent has a bad piece length");
  const t = new Torrent();
  t.bytes = bytes;
  t.name = safe(text(info.get("name"), "name"));
  t.pieceLength = pieceLength;
  t.v1 = info.get("pieces") instanceof Uint8Array;
  t.infoHash = t.v1 ? await hash("SHA-1", info.raw) : (await hash("SHA-256", info.raw)).subarray(0, 20);
  t.key = hex(t.infoHash);
  t.files = t.v1 ? filesV1(info, t.name) : filesV2(info, pieceLength);
  t.single = t.v1 ? !info.get("files") : t.files.length === 1 && t.files[0].path.length === 1 && t.files[0].path[0] === t.name;
  const last = t.files.at(-1);
  t.length = last.offset + last.length;
  t.count = Math.ceil(t.length / pieceLength);
  t.size = t.files.reduce((n, f) => n + (f.pad ? 0 : f.length), 0);
  if (t.count < 1) throw new Error("the torrent has no data");
  if (t.v1) {
    t.hashes = info.get("pieces");
    if (t.hashes.length !== 20 * t.count) throw new Error("the torrent has a wrong number of hashes");
    t.hybrid = info.has("file tree");
    await t.readBeside(file.get("v2 hashes"));
  } else await t.readLayers(file.get("piece layers"));
  return t;
}

// Torrent describes the data of a torrent as one row of pieces. Its fields do not change.
//
// bytes is the .torrent file; key the info-hash in hexadecimal, by which the data is stored;
// files have {path, length, offset, pad}; size is the number of bytes without pad files; count
// is the number of pieces; layer has for each piece its SHA-256 tree {root, leaves, ask}, where ask
// names the tree in a hash request (BEP 52), or is null.
export class Torrent {
  layer = null;

  // readBeside checks the v2 hashes beside a v1 torrent (docs/interop.md), from the .torrent or a
  // file of their own, and keeps them. Bad ones are ignored: the info-hash does not cover them, and
  // they are trusted only because they come from where the .torrent does.
  async readBeside(bytes) {
    const { files, pieceLength, count } = this;
    if (!(bytes instanceof Uint8Array) || this.hybrid || pieceLength < blockSize || pieceLength & (pieceLength - 1) || bytes.length !== 32 * (count + files.length)) return;
    const hashes = hashList(bytes), roots = hashes.slice(0, count), leaves = pieceLength / blockSize;
    const filler = await treeRoot([], leaves, new Uint8Array(32));
    for (const [k, f] of files.entries()) {
      const root = hashes[count + k], end = f.offset + f.length;
      if ((f.length === 0 || f.pad) !== root.every((b) => b === 0)) return;
      // The root of a file of whole pieces must follow from their roots.
      if (f.pad || f.length < pieceLength || f.offset % pieceLength || (end % pieceLength && end !== this.length)) continue;
      const list = roots.slice(f.offset / pieceLength, Math.ceil(end / pieceLength));
      if (!equal(await treeRoot(list, 2 ** Math.ceil(Math.log2(list.length)), filler), root)) return;
    }
    this.layer = roots.map((root) => ({ root, leaves, ask: { root, index: 0 } }));
  }

  // readLayers checks the hashes of the pieces of a v2 torrent, and keeps them.
  async readLayers(layers) {
    this.layer = new Array(this.count);
    for (const f of this.files) {
      if (f.length === 0) continue;
      if (!(f.root instanceof Uint8Array) || f.root.length !== 32) throw new Error("the torrent has a file without a hash");
      const first = f.offset / this.pieceLength, n = Math.ceil(f.length / this.pieceLength);
      const blocks = 2 ** Math.ceil(Math.log2(Math.ceil(Math.min(f.length, this.pieceLength) / blockSize)));
      if (n === 1) {
        this.layer[first] = { root: f.root, leaves: blocks, ask: { root: f.root, index: 0 } };
        continue;
      }
      const hashes = layers?.get(textOf(f.root));
      if (hashes?.length !== 32 * n) throw new Error("the torrent lacks hashes of pieces");
      const list = hashList(hashes), leaves = this.pieceLength / blockSize;
      const filler = await treeRoot([], leaves, new Uint8Array(32));
      if (!equal(await treeRoot(list, 2 ** Math.ceil(Math.log2(n)), filler), f.root)) throw new Error("the torrent has wrong hashes of pieces");
      list.forEach((root, i) => { this.layer[first + i] = { root, leaves, ask: { root: f.root, index: i * leaves } }; });
    }
  }

  // pieceSize returns the number of bytes of a piece.
  pieceSize(i) {
    const begin = i * this.pieceLength;
    if (this.v1) return Math.min(this.pieceLength, this.length - begin);
    let size = 0;
    for (const f of this.files) if (f.offset <= begin && begin < f.offset + f.length) size = Math.min(this.pieceLength, f.offset + f.length - begin);
    return size;
  }

  // check resolves to whether bytes are the data of a piece, by all hashes that there are. v2 hashes
  // beside a v1 torrent are dropped if they describe other data than the v1 hashes.
  async check(i, bytes) {
    if (bytes.length !== this.pieceSize(i)) return false;
    const tree = this.layer?.[i];
    const good = tree && equal(await pieceRoot(bytes, tree.leaves), tree.root);
    if (!this.v1) return good;
    const good1 = equal(await hash("SHA-1", bytes), this.hashes.subarray(20 * i, 20 * i + 20));
    if (tree && good !== good1) this.layer = null;
    return good1;
  }

  // parts returns the parts of files that a range of the data consists of, in order:
  // {file, from, length}, where file is an index and from counts from the begin of the file.
  parts(begin, length) {
    const end = begin + length, out = [];
    let low = 0, high = this.files.length;
    while (low < high) { // the first file that ends behind begin
      const mid = (low + high) >> 1;
      if (this.files[mid].offset + this.files[mid].length <= begin) low = mid + 1;
      else high = mid;
    }
    for (let i = low; i < this.files.length && this.files[i].offset < end; i++) {
      const f = this.files[i], from = Math.max(begin, f.offset), to = Math.min(end, f.offset + f.length);
      if (to > from) out.push({ file: i, from: from - f.offset, length: to - from });
    }
    return out;
  }

  // piecesOf returns the first and the last piece of a file, or null for an empty file.
  piecesOf(i) {
    const f = this.files[i];
    return f.length === 0 ? null : [Math.floor(f.offset / this.pieceLength), Math.floor((f.offset + f.length - 1) / this.pieceLength)];
  }
}
