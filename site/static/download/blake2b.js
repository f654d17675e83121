// BLAKE2b with 64 bytes and without a key (RFC 7693), which minisign signs in place
// of the file unless it is told otherwise.
// Numbers of 64 bits are two of 32 bits, the lower one first.
import { start } from "./sha512.js";

const initial = new Uint32Array(start);
const orders = "0123456789abcdef ea489fd61c02b753 b8c052fdae367194 7931dcbe265a40f8 905724afe1bc683d 2c6a0b834d75fe19 c51fed4a0763928b db7ec13950f4862a 6fe9b308c2d714a5 a2847615fb9e3cd0"
  .split(" ").map((row) => Uint8Array.from(row, (digit) => 2 * parseInt(digit, 16)));
const mixes = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]].map((m) => Uint8Array.from(m, (i) => 2 * i));

const v = new Uint32Array(32), m = new Uint32Array(32);

// add adds a number to word a of v.
function add(a, low, high) {
  const sum = (v[a] + low) >>> 0;
  v[a] = sum;
  v[a + 1] = (v[a + 1] + high + (sum < low ? 1 : 0)) | 0;
}

// turn makes word d of v the exclusive or of d and a, turned right by n bits.
function turn(d, a, n) {
  const swap = n >= 32 ? 1 : 0, low = v[d + swap] ^ v[a + swap], high = v[d + 1 - swap] ^ v[a + 1 - swap], k = n & 31;
  v[d] = k === 0 ? low : (low >>> k) | (high << (32 - k));
  v[d + 1] = k === 0 ? high : (high >>> k) | (low << (32 - k));
}

function block(h, bytes, at, count, last) {
  v.set(h);
  v.set(initial, 16);
  v[24] ^= count;
  v[25] ^= Math.floor(count / 0x100000000);
  if (last) {
    v[28] = ~v[28];
    v[29] = ~v[29];
  }
  for (let i = 0; i < 32; i++, at += 4) m[i] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  for (let round = 0; round < 12; round++) {
    const order = orders[round % 10];
    for (let i = 0; i < 8; i++) {
      const mix = mixes[i], a = mix[0], b = mix[1], c = mix[2], d = mix[3], x = order[2 * i], y = order[2 * i + 1];
      add(a, v[b], v[b + 1]);
      add(a, m[x], m[x + 1]);
      turn(d, a, 32);
      add(c, v[d], v[d + 1]);
      turn(b, c, 24);
      add(a, v[b], v[b + 1]);
      add(a, m[y], m[y + 1]);
      turn(d, a, 16);
      add(c, v[d], v[d + 1]);
      turn(b, c, 63);
    }
  }
  for (let i = 0; i < 16; i++) h[i] ^= v[i] ^ v[i + 16];
}

// blake2b returns the 64 bytes of the hash of a Uint8Array.
export function blake2b(bytes) {
  const h = initial.slice(), whole = Math.max(0, Math.ceil(bytes.length / 128) - 1) * 128;
  h[0] ^= 0x01010040; // 64 bytes, no key, one lane
  for (let at = 0; at < whole; at += 128) block(h, bytes, at, at + 128, false);
  const rest = new Uint8Array(128);
  rest.set(bytes.subarray(whole));
  block(h, rest, 0, bytes.length, true);
  const out = new DataView(new ArrayBuffer(64));
  h.forEach((word, i) => out.setUint32(4 * i, word, true));
  return new Uint8Array(out.buffer);
}
