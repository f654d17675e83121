// A daemon that is none: it serves the client and speaks its API for tests of the page.
//   node server.mjs [TORRENTS] [PORT]
// It prints its URL. Every second some torrents change.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { makeDetails, makeTorrents } from "./torrents.mjs";

const [count = "40", port = "0"] = process.argv.slice(2);
const root = fileURLToPath(new URL("../../static/", import.meta.url));
const kinds = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json" };
export const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const torrents = makeTorrents(Number(count));
const streams = new Set();
let events = 0;
let signedIn = true;

const json = (res, body, status = 200) => {
  res.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json", "Cache-Control": "no-store" });
  res.end(JSON.stringify(body));
};
const problem = (res, status, code, detail, hint) => json(res, { type: "about:blank", title: detail, status, detail, code, hint }, status);

function tell(name, data) {
  const id = ++events;
  for (const res of streams) res.write(`id: mock-${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

function status() {
  const list = [...torrents.values()];
  const sum = (get) => list.reduce((n, x) => n + get(x), 0);
  return { version: "mock", verb: "serve", totals: { releases: 0, up_rate: 0, down_rate: 0 }, torrents: { count: list.length, down_rate: sum((x) => x.down_rate), up_rate: sum((x) => x.up_rate) } };
}

async function body(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text === "" ? {} : JSON.parse(text);
}

const routes = [
  ["GET", /^\/session$/, (req, res) => (signedIn ? json(res, { csrf: "mock", scopes: ["admin"], expires: "2030-01-01T00:00:00Z" }) : problem(res, 401, "unauthorized", "this browser is not signed in"))],
  ["POST", /^\/session$/, async (req, res) => {
    const { token, once } = await body(req);
    if (token !== "secret" && once !== "code") return problem(res, 403, "unauthorized", "the token is not valid");
    signedIn = true;
    return json(res, { csrf: "mock", scopes: ["admin"], expires: "2030-01-01T00:00:00Z" });
  }],
  ["DELETE", /^\/session$/, (req, res) => { signedIn = false; res.writeHead(204).end(); }],
  ["GET", /^\/v1\/status$/, (req, res) => json(res, status())],
  ["GET", /^\/v1\/releases$/, (req, res) => json(res, { total: 0, releases: [] })],
  ["GET", /^\/v1\/torrents$/, (req, res, _, query) => {
    const list = [...torrents.values()];
    const offset = Number(query.get("offset") ?? 0);
    json(res, { total: list.length, torrents: list.slice(offset, offset + Number(query.get("limit") ?? list.length)) });
  }],
  ["GET", /^\/v1\/events$/, (req, res) => {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    res.write(`id: mock-${++events}\nevent: reset\ndata: {}\n\n`);
    streams.add(res);
    res.on("close", () => streams.delete(res));
  }],
  ["POST", /^\/v1\/torrents\/preview$/, async (req, res) => {
    await body(req);
    json(res, {
      info_hash: "9".repeat(40), name: "Course in five parts", total_length: 5_000_000_000, comment: "From the preview", private: false,
      files: [1, 2, 3, 4].map((n) => ({ path: `part ${n}/lesson ${n}.mkv`, length: n * 4e8 })).concat({ path: "readme.txt", length: 4000 }),
    });
  }],
  ["GET", /^\/v1\/folders$/, (req, res) => json(res, { folders: [{ dir: "/srv/downloads", free: 812e9, total: 2e12 }, { label: "films", dir: "/srv/films", free: 61e9, total: 1e12 }] })],
  ["POST", /^\/v1\/torrents$/, async (req, res) => {
    const asked = await body(req);
    const [added] = makeTorrents(1, torrents.size + 1).values();
    Object.assign(added, { name: "Added by the page", label: asked.label, added: new Date().toISOString(), paused: Boolean(asked.paused), state: asked.paused ? "paused" : "downloading" });
    torrents.set(added.info_hash, added);
    tell("torrents", { changed: [added] });
    json(res, added);
  }],
  ["GET", /^\/v1\/torrents\/([0-9a-f]+)$/, (req, res, [ref]) => json(res, makeDetails(torrents.get(ref)))],
  ["GET", /^\/v1\/torrents\/([0-9a-f]+)\/peers$/, (req, res, [ref]) => json(res, makeDetails(torrents.get(ref)).peers)],
  ["GET", /^\/v1\/torrents\/([0-9a-f]+)\/(pieces|history)$/, (req, res, [ref, what]) => json(res, makeDetails(torrents.get(ref))[what])],
  ["PATCH", /^\/v1\/torrents\/([0-9a-f]+)$/, async (req, res, [ref]) => {
    const change = await body(req);
    const next = { ...torrents.get(ref), ...change };
    if (change.paused !== undefined) Object.assign(next, { state: change.paused ? "paused" : "downloading", down_rate: 0, up_rate: 0 });
    torrents.set(ref, next);
    tell("torrents", { changed: [next] });
    res.writeHead(204).end();
  }],
  ["DELETE", /^\/v1\/torrents\/([0-9a-f]+)$/, (req, res, [ref]) => {
    torrents.delete(ref);
    tell("torrents", { removed: [ref] });
    res.writeHead(204).end();
  }],
  ["POST", /^\/v1\/torrents\/([0-9a-f]+)\/(recheck|reannounce)$/, (req, res) => res.writeHead(204).end()],
];

function asset(res, path) {
  const file = normalize(join(root, path === "/" ? "index.html" : path.replace(/^\/static\//, "")));
  if (!file.startsWith(root) || !existsSync(file) || !statSync(file).isFile()) return problem(res, 404, "not_found", "there is no such file");
  res.writeHead(200, { "Content-Type": kinds[extname(file)] ?? "text/plain", "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache" });
  return createReadStream(file).pipe(res);
}

const server = createServer((req, res) => {
  const url = new URL(req.url, "http://mock");
  if (!["GET", "HEAD"].includes(req.method) && url.pathname !== "/session" && req.headers["x-spate-csrf"] !== "mock") return problem(res, 403, "unauthorized", "the header field X-Spate-CSRF is wrong");
  for (const [method, pattern, answer] of routes) {
    const match = pattern.exec(url.pathname);
    if (match && method === req.method) return answer(req, res, match.slice(1), url.searchParams);
  }
  return asset(res, url.pathname);
});

setInterval(() => {
  const changed = [...torrents.values()].filter((x) => x.state === "downloading").slice(0, 200).map((x) => {
    const down = Math.round(x.base * (0.6 + Math.random() * 0.8));
    const done = Math.min(x.total_length, x.done + down);
    return { ...x, done, progress: done / x.total_length, down_rate: down, up_rate: Math.round(down / 9) };
  });
  for (const x of changed) torrents.set(x.info_hash, x);
  if (changed.length > 0) tell("torrents", { changed });
  tell("status", status());
}, 1000);

server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
