// Tests of the publisher's signature. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { from, torrentV1, until } from "./helpers.mjs";
import { install } from "./fakedatabase.mjs";

const { bytesOf, hex } = await from("bencode");
const { sha512 } = await from("sha512");
const { blake2b } = await from("blake2b");
const { verify } = await from("ed25519");
const { check, keyId } = await from("signature");
const { Work } = await from("work");
globalThis.document = { documentElement: { lang: "en" } };
const { proof } = await from("words");

const unhex = (text) => new Uint8Array(Buffer.from(text, "hex"));

test("the hashes of signatures are those of the standards", () => {
  for (const n of [0, 1, 63, 111, 112, 127, 128, 129, 255, 256, 5000]) {
    const bytes = randomBytes(n);
    assert.equal(hex(sha512(bytes)), createHash("sha512").update(bytes).digest("hex"));
    assert.equal(hex(blake2b(bytes)), createHash("blake2b512").update(bytes).digest("hex"));
  }
});

test("signatures of RFC 8032 and of another program are right, and changed ones are not", () => {
  for (const [key, message, signature] of [ // section 7.1
    ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"],
    ["3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"],
    ["fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"],
  ]) assert.ok(verify(unhex(key), unhex(message), unhex(signature)));
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = new Uint8Array(publicKey.export({ type: "spki", format: "der" }).subarray(-32));
  for (let i = 0; i < 64; i++) {
    const message = randomBytes(i), signature = new Uint8Array(sign(null, message, privateKey));
    assert.ok(verify(key, message, signature));
    signature[i] ^= 1 << (i & 7);
    assert.ok(!verify(key, message, signature), String(i));
  }
  const message = randomBytes(9), signature = new Uint8Array(sign(null, message, privateKey)), order = 2n ** 252n + 27742317777372353535851937790883648493n;
  let s = signature.subarray(32).reduceRight((n, b) => (n << 8n) | BigInt(b), 0n) + order; // the same number, written otherwise
  for (let i = 32; i < 64; i++, s >>= 8n) signature[i] = Number(s & 255n);
  assert.ok(!verify(key, message, signature));
  for (const bad of [new Uint8Array(32).fill(255), new Uint8Array(31), new Uint8Array(32).fill(2)]) assert.ok(!verify(bad, message, signature));
  assert.ok(!verify(key, message, new Uint8Array(10)));
});

// Made by package signature.
const key = "RWSHP0df2xikvaPKLc8ybsutrX4L1XIvU77KVJVguTK1i8QcKb6wEOKw";
const content = bytesOf("the content of debian.iso.torrent");
const good = "untrusted comment: signature by minisign key BDA418DB5F473F87\nRWSHP0df2xikvWHuo11MFGJCtpHCdOuhZCvThwLHsS1KUDrFouqG5gR0LzIPvfIeh3hrq0ep6WjHB3mD5/ixjbQ05KN/NlU/IAY=\ntrusted comment: timestamp:1764500000\tfile:debian.iso.torrent\trelease:my%20file~1~amd64\tpublished:1764400000\thashed\n2XFqF3+krI++CoVBxAIS2PO8mRYJiRjDUfFxHgoxbYyLBze0o8Gv5UOuTU0LBw1WAmoexwtbaVrXQ62qqu4LCA==\n";

test("a signature in the format of minisign is checked, with its comment", () => {
  assert.equal(keyId(key), "BDA418DB5F473F87");
  assert.deepEqual(check(key, content, good), { release: "my file~1~amd64", published: "1764400000" });
  check(key, content, good.replaceAll("\n", "\r\n"));
  const other = `RWSHP0df2xikvf${key.slice(14)}`, named = `RWSIP0df2xikv${key.slice(13)}`;
  for (const [k, c, text] of [
    [key, bytesOf("another content"), good], [key, content, good.replace("amd64", "arm64")], [key, content, good.replace("WHuo", "WHuO")], [other, content, good], [named, content, good],
    [key, content, `${good}more\n`], [key, content, ""], [key, content, good.replace("trusted comment: t", "trust: t")], ["RW", content, good], ["?", content, good], [key, content, good.replace("\nRWS", "\nRXS")],
    [key, content, good.replace("amd64", "x".repeat(20_000))],
  ]) assert.throws(() => check(k, c, text), Error);
});

// signer returns a minisign key and a function that signs.
function signer() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519"), id = randomBytes(8);
  const key = Buffer.concat([Buffer.from("Ed"), id, publicKey.export({ type: "spki", format: "der" }).subarray(-32)]).toString("base64");
  return { key, sign: (file, release) => {
    const s = sign(null, createHash("blake2b512").update(file).digest(), privateKey), comment = `release:${release}\tpublished:1`;
    return `untrusted comment: x\n${Buffer.concat([Buffer.from("ED"), id, s]).toString("base64")}\ntrusted comment: ${comment}\n${sign(null, Buffer.concat([s, Buffer.from(comment)]), privateKey).toString("base64")}\n`;
  } };
}

test("a page checks the signature of its torrent, and downloads nothing if it is wrong", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(50_000) }], 32768, true), s = signer();
  const run = async (signed, answer, want) => {
    install();
    globalThis.fetch = async (url, { headers } = {}) => {
      if (url.endsWith(".torrent")) return new Response(bytes);
      if (url.endsWith(".minisig")) return answer === null ? new Response("", { status: 404 }) : new Response(answer);
      const [, begin, end] = headers.Range.match(/(\d+)-(\d+)/);
      return new Response(data.subarray(+begin, +end + 1), { status: 206 });
    };
    let state;
    const work = new Work((m) => { if (m.is === "state") state = m; });
    work.message({ do: "open", torrent: "http://site/t.torrent", v2: "", signed: signed && { key: s.key, ref: "name~1", torrent: "http://site/t.torrent.minisig", v2: "", ...signed }, data: "http://site/d", byPath: null, page: "http://site/", client: "-Sw0100-", tracked: false });
    work.message({ do: "start" });
    await until(`an end, not ${JSON.stringify(state)}`, () => ["done", "problem"].includes(state?.phase));
    assert.deepEqual([state.phase, state.problem?.code, state.have > 0, proof(state, { get: (name) => name })], want);
    await work.end();
  };
  const done = (says) => ["done", undefined, true, says], refused = ["problem", "forged", false, ""];
  await run(null, null, done(""));
  await run({}, s.sign(bytes, "name~1"), done("signed")); // of a hash
  await run({}, null, done("unproved"));
  await run({}, s.sign(bytes, "other~1"), refused);
  await run({}, signer().sign(bytes, "name~1"), refused);
  await run({ must: true, torrent: undefined }, null, refused);
});
