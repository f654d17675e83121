// Signatures by Ed25519 (RFC 8032): only their verification, which has no secrets, so that its time
// may depend on the numbers.
import { sha512 } from "./sha512.js";

const p = 2n ** 255n - 19n;
const order = 2n ** 252n + 27742317777372353535851937790883648493n;

const mod = (x) => ((x % p) + p) % p;
function power(x, n) {
  let out = 1n;
  for (; n > 0n; n >>= 1n, x = (x * x) % p) if (n & 1n) out = (out * x) % p;
  return out;
}
const d = mod(-121665n * power(121666n, p - 2n));
const rootOfMinusOne = power(2n, (p - 1n) / 4n);

// number returns the number of bytes, the lowest first.
const number = (bytes) => bytes.reduceRight((n, b) => (n << 8n) | BigInt(b), 0n);

// Points are [x, y, z, t]: the point (x/z, y/z), with t = xy/z.
function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = ((y1 - x1) * (y2 - x2)) % p, b = ((y1 + x1) * (y2 + x2)) % p, c = (2n * d * ((t1 * t2) % p)) % p, e = (2n * z1 * z2) % p;
  const f = b - a, g = e - c, h = e + c, i = b + a;
  return [mod(f * g), mod(h * i), mod(g * h), mod(f * i)];
}
const zero = [0n, 1n, 1n, 0n];

// point returns the point that 32 bytes encode, or null.
function point(bytes) {
  const all = number(bytes), sign = all >> 255n, y = all & (2n ** 255n - 1n);
  if (y >= p) return null;
  const u = mod(y * y - 1n), w = mod(d * y * y + 1n), w3 = mod(w * w * w);
  let x = mod(u * w3 * power(mod(u * w3 * w3 * w), (p - 5n) / 8n));
  const square = mod(w * x * x);
  if (square === mod(-u)) x = mod(x * rootOfMinusOne);
  else if (square !== u) return null;
  if (x === 0n && sign) return null;
  if ((x & 1n) !== sign) x = p - x;
  return [x, y, 1n, mod(x * y)];
}
const base = point(new Uint8Array(32).fill(0x66).map((b, i) => (i ? b : 0x58)));

// verify reports whether the 64 bytes of a signature are one of message by the key of 32 bytes.
export function verify(key, message, signature) {
  const a = key.length === 32 && point(key), r = signature.length === 64 && point(signature.subarray(0, 32)), s = number(signature.subarray(32));
  if (!a || !r || s >= order) return false;
  const hashed = new Uint8Array(64 + message.length);
  hashed.set(signature.subarray(0, 32));
  hashed.set(key, 32);
  hashed.set(message, 64);
  const k = number(sha512(hashed)) % order, minus = [mod(-a[0]), a[1], 1n, mod(-a[3])], both = add(base, minus);
  let sum = zero; // s times the base point, minus k times the key
  for (let bit = 252n; bit >= 0n; bit--) {
    sum = add(sum, sum);
    const inS = (s >> bit) & 1n, inK = (k >> bit) & 1n;
    if (inS || inK) sum = add(sum, inS && inK ? both : inS ? base : minus);
  }
  return mod(sum[0] - r[0] * sum[2]) === 0n && mod(sum[1] - r[1] * sum[2]) === 0n;
}
