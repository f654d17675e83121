// SHA-512 (FIPS 180-4), for signatures. Numbers of 64 bits are two of 32 bits, the lower one first.

const mask = (1n << 64n) - 1n;

// root returns the first 64 bits of the fraction of the root of a prime number: its square root for
// power 2n, its cube root for 3n.
function root(prime, power) {
  const n = BigInt(prime) << (64n * power);
  let x = 1n << 70n; // above the root
  for (;;) { // Newton
    const y = ((power - 1n) * x + n / x ** (power - 1n)) / power;
    if (y >= x) return x & mask;
    x = y;
  }
}
const primes = [];
for (let n = 2; primes.length < 80; n++) if (primes.every((p) => n % p !== 0)) primes.push(n);
const split = (list) => Int32Array.from(list.flatMap((v) => [Number(BigInt.asIntN(32, v)), Number(BigInt.asIntN(32, v >> 32n))]));
const constants = split(primes.map((p) => root(p, 3n)));

// start is the state before the first block, which BLAKE2b begins with too.
export const start = split(primes.slice(0, 8).map((p) => root(p, 2n)));

const w = new Int32Array(160), two32 = 0x100000000;

function block(state, view, at) {
  for (let i = 0; i < 32; i += 2, at += 8) {
    w[i] = view.getInt32(at + 4);
    w[i + 1] = view.getInt32(at);
  }
  for (let i = 32; i < 160; i += 2) {
    const xl = w[i - 30], xh = w[i - 29], yl = w[i - 4], yh = w[i - 3];
    const s0l = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25)), s0h = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
    const s1l = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26)), s1h = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
    const low = (w[i - 32] >>> 0) + (s0l >>> 0) + (w[i - 14] >>> 0) + (s1l >>> 0);
    w[i] = low;
    w[i + 1] = w[i - 31] + s0h + w[i - 13] + s1h + Math.floor(low / two32);
  }
  let [al, ah, bl, bh, cl, ch, dl, dh, el, eh, fl, fh, gl, gh, hl, hh] = state;
  for (let i = 0; i < 160; i += 2) {
    const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23)), s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
    const low1 = (hl >>> 0) + (s1l >>> 0) + ((gl ^ (el & (fl ^ gl))) >>> 0) + (constants[i] >>> 0) + (w[i] >>> 0);
    const high1 = (hh + s1h + (gh ^ (eh & (fh ^ gh))) + constants[i + 1] + w[i + 1] + Math.floor(low1 / two32)) | 0;
    const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25)), s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
    const low2 = (low1 % two32) + (s0l >>> 0) + (((al & bl) | (cl & (al | bl))) >>> 0);
    const high2 = high1 + s0h + ((ah & bh) | (ch & (ah | bh))) + Math.floor(low2 / two32);
    hl = gl; hh = gh; gl = fl; gh = fh; fl = el; fh = eh;
    const low = (dl >>> 0) + (low1 % two32);
    el = low | 0;
    eh = (dh + high1 + Math.floor(low / two32)) | 0;
    dl = cl; dh = ch; cl = bl; ch = bh; bl = al; bh = ah;
    al = low2 | 0;
    ah = high2 | 0;
  }
  const sums = [al, ah, bl, bh, cl, ch, dl, dh, el, eh, fl, fh, gl, gh, hl, hh];
  for (let i = 0; i < 16; i += 2) {
    const low = (state[i] >>> 0) + (sums[i] >>> 0);
    state[i] = low;
    state[i + 1] += sums[i + 1] + Math.floor(low / two32);
  }
}

// sha512 returns the 64 bytes of the hash of a Uint8Array.
export function sha512(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 17) / 128) * 128), view = new DataView(padded.buffer), state = start.slice();
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  for (let at = 0; at < padded.length; at += 128) block(state, view, at);
  const out = new DataView(new ArrayBuffer(64));
  for (let i = 0; i < 16; i += 2) {
    out.setInt32(4 * i, state[i + 1]);
    out.setInt32(4 * i + 4, state[i]);
  }
  return new Uint8Array(out.buffer);
}
