// Signatures in the format of minisign, as publishers of releases make them: over the file, and over
// a comment that names the release.
import { bytesOf, hex, textOf } from "./bencode.js";
import { blake2b } from "./blake2b.js";
import { verify } from "./ed25519.js";
import { equal } from "./hash.js";

const longest = 16 << 10; // characters of a signature
const comment = "trusted comment: ";

const base64 = (text, length) => {
  const bytes = bytesOf(atob(text.trim()));
  if (bytes.length !== length) throw new Error("not of minisign");
  return bytes;
};

// keyId returns the number of a key as minisign shows it.
export const keyId = (key) => hex(base64(key, 42).slice(2, 10).reverse()).toUpperCase();

// check returns {release, published}, as the signature names them, or throws an Error. key has the 56
// characters of a public key, and text is the signature of file.
export function check(key, file, text) {
  const lines = text.replace(/[\r\n]+$/, "").split(/\r?\n/);
  if (text.length > longest || lines.length !== 4 || !lines[2].startsWith(comment)) throw new Error("not a signature");
  const k = base64(key, 42), s = base64(lines[1], 74), number = k.subarray(10);
  const kind = textOf(s.subarray(0, 2)); // "Ed" for a signature of the file, "ED" for one of its hash
  if (textOf(k.subarray(0, 2)) !== "Ed" || !/^E[dD]$/.test(kind)) throw new Error("not a signature by Ed25519");
  if (!equal(k.subarray(2, 10), s.subarray(2, 10))) throw new Error("signed with another key");
  const said = new TextEncoder().encode(lines[2].slice(comment.length)), signed = new Uint8Array(64 + said.length);
  signed.set(s.subarray(10));
  signed.set(said, 64);
  if (!verify(number, kind === "Ed" ? file : blake2b(file), s.subarray(10)) || !verify(number, signed, base64(lines[3], 64))) throw new Error("the signature does not match");
  const fields = new Map(lines[2].slice(comment.length).split("\t").map((f) => [f.slice(0, f.indexOf(":")), f.slice(f.indexOf(":") + 1)]).reverse());
  return { release: decodeURIComponent(fields.get("release") ?? ""), published: fields.get("published") ?? "" };
}
