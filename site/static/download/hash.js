// Hashes of pieces. crypto.subtle computes them beside the worker, but browsers have it only
// on https pages and on those of this machine.
import { sha1 } from "./sha1.js";
import { sha256 } from "./sha256.js";

const own = { "SHA-1": sha1, "SHA-256": sha256 };

// hash resolves to the hash of a Uint8Array. kind is "SHA-1" or "SHA-256".
export async function hash(kind, bytes) {
  const subtle = globalThis.crypto?.subtle;
  return subtle ? new Uint8Array(await subtle.digest(kind, bytes)) : own[kind](bytes);
}

// equal reports whether two Uint8Arrays have the same bytes.
export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

// blockSize is the size of the blocks that peers ask for, and of the leaves of the hash trees
// of BEP 52.
export const blockSize = 16384;

const together = 64; // blocks that crypto.subtle is given at once: twice as fast as one by one

// blockHashes resolves to the SHA-256 hash of each block of 16 KiB.
export async function blockHashes(bytes) {
  const out = [];
  for (let at = 0; at < bytes.length; at += together * blockSize) {
    const some = [];
    for (let b = at; b < Math.min(bytes.length, at + together * blockSize); b += blockSize) some.push(hash("SHA-256", bytes.subarray(b, b + blockSize)));
    out.push(...(await Promise.all(some)));
  }
  return out;
}

// pieceRoot resolves to the root of the hash tree over the blocks of a piece. leaves is the
// number of leaves of the tree, a power of two; missing leaves are zeros.
export const pieceRoot = async (bytes, leaves) => treeRoot(await blockHashes(bytes), leaves, new Uint8Array(32));

// hashList returns the hashes of 32 bytes that stand one after another in bytes.
export const hashList = (bytes) => Array.from({ length: bytes.length / 32 }, (_, i) => bytes.subarray(32 * i, 32 * i + 32));

// treeRoot resolves to the root of a hash tree. Leaves that are missing have the value filler.
export async function treeRoot(layer, leaves, filler) {
  const pair = new Uint8Array(64);
  const parent = async (a, b) => {
    pair.set(a);
    pair.set(b, 32);
    return hash("SHA-256", pair.slice());
  };
  for (; leaves > 1; leaves /= 2) {
    const next = [];
    for (let i = 0; i < layer.length; i += 2) next.push(parent(layer[i], layer[i + 1] ?? filler));
    layer = await Promise.all(next);
    filler = await parent(filler, filler);
  }
  return layer[0] ?? filler;
}
