// Bencoding (BEP 3).

const maxDepth = 64;

const latin1 = (bytes) => {
  let s = "";
  for (const b of bytes) s += String.fromCharCode(b);
  return s;
};

// decode returns the value that bytes encode. Strings are Uint8Arrays, lists are arrays,
// and dictionaries are Maps whose keys are strings with one character for each byte. The
// property raw of a Map holds its encoded form. decode throws an Error for bad input.
export function decode(bytes) {
  let at = 0;
  const fail = (why) => { throw new Error(`bencoding at byte ${at}: ${why}`); };
  const digits = (end) => {
    const from = at;
    while (at < bytes.length && bytes[at] !== end) at++;
    if (at >= bytes.length || at - from > 17) fail("a number has no end");
    const text = latin1(bytes.subarray(from, at));
    at++;
    if (!/^(0|-?[1-9][0-9]*)$/.test(text) || !Number.isSafeInteger(+text)) fail("bad number");
    return +text;
  };
  const string = () => {
    const n = digits(0x3a);
    if (n < 0 || n > bytes.length - at) fail("a string is longer than the file");
    at += n;
    return bytes.subarray(at - n, at);
  };
  const value = (depth) => {
    if (depth > maxDepth) fail("too deep");
    const start = at;
    switch (bytes[at]) {
      case 0x69: // i
        at++;
        return digits(0x65);
      case 0x6c: { // l
        at++;
        const list = [];
        while (bytes[at] !== 0x65) {
          if (at >= bytes.length) fail("a list has no end");
          list.push(value(depth + 1));
        }
        at++;
        return list;
      }
      case 0x64: { // d
        at++;
        const dict = new Map();
        while (bytes[at] !== 0x65) {
          if (at >= bytes.length) fail("a dictionary has no end");
          dict.set(latin1(string()), value(depth + 1));
        }
        at++;
        dict.raw = bytes.subarray(start, at);
        return dict;
      }
      default:
        return string();
    }
  };
  const result = value(0);
  if (at !== bytes.length) fail("something follows the value");
  return result;
}

// encode returns the bencoding of a number, a string of one character for each byte, a
// Uint8Array, an array, or an object.
export function encode(value) {
  const parts = [];
  const add = (v) => {
    if (typeof v === "number") parts.push(`i${v}e`);
    else if (typeof v === "string") parts.push(`${v.length}:${v}`);
    else if (v instanceof Uint8Array) add(latin1(v));
    else if (Array.isArray(v)) {
      parts.push("l");
      v.forEach(add);
      parts.push("e");
    } else {
      parts.push("d");
      for (const key of Object.keys(v).sort()) {
        add(key);
        add(v[key]);
      }
      parts.push("e");
    }
  };
  add(value);
  return bytesOf(parts.join(""));
}

// bytesOf returns a byte for each character of a string.
export function bytesOf(text) {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// textOf returns a character for each byte.
export const textOf = latin1;

// hex returns the bytes in hexadecimal.
export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
