// Torrents for the mock, always the same ones.

const names = ["debian-13.2.0-amd64-netinst.iso", "Big Buck Bunny 4K", "archlinux-2026.11.01-x86_64.iso", "Field recordings of the northern coast, 1998 to 2004, lossless", "OpenStreetMap planet, November", "ubuntu-26.04-desktop-amd64.iso", "Lectures on distributed systems", "wikipedia_en_all_maxi", "Sintel", "Tears of Steel", "数据集 第七版", "Sprachkurs für Anfänger", "blender-5.0-linux-x64.tar.xz", "fedora-workstation-44", "Public domain films of the 1920s"];
const states = ["downloading", "seeding", "seeding", "seeding", "paused", "downloading", "seeding", "stalled", "seeding", "queued", "seeding", "downloading", "seeding", "failed", "seeding", "checking", "finished", "metadata"];
const labels = ["", "linux", "films", "", "music", "data", ""];

/** makeTorrents returns n torrents by info-hash. @param {number} n @param {number} [from] number of the first */
export function makeTorrents(n, from = 0) {
  const list = new Map();
  for (let i = from; i < from + n; i++) {
    const info_hash = (BigInt(i + 1) * 0x9e3779b97f4a7c15n % (1n << 64n)).toString(16).padStart(16, "0").repeat(3).slice(0, 40);
    const state = states[i % states.length];
    const total_length = state === "metadata" ? 0 : 1e6 * (1 + (i * 7919) % 90000);
    const whole = state === "seeding" || state === "finished";
    const done = whole ? total_length : Math.round(total_length * ((i * 37) % 97) / 100);
    const active = state === "downloading";
    list.set(info_hash, {
      info_hash, name: i < names.length ? names[i] : `${names[i % names.length]} ${i}`, state, dir: "/srv/downloads", path: "/srv/downloads/x", total_length, done, num_files: 1 + i % 9,
      progress: total_length > 0 ? done / total_length : 0, downloaded: done, uploaded: whole ? total_length * (i % 4) / 2 : 0, base: 1e5 * (1 + i % 60), down_rate: active ? 1e5 * (1 + i % 60) : 0,
      up_rate: active || i % 11 === 1 ? 2e4 * (1 + i % 30) : 0, peers: active ? 3 + i % 60 : 0, seeders: i % 120, leechers: i % 14, paused: state === "paused", place: i, label: labels[i % labels.length] || undefined,
      added: new Date(1_790_000_000_000 - i * 3_600_000).toISOString(), magnet: `magnet:?xt=urn:btih:${info_hash}`,
      error: state === "failed" ? "write /srv/downloads/x: no space left on device" : undefined, stall_reason: state === "stalled" ? "no peer has the missing pieces" : undefined,
    });
  }
  return list;
}

/** makeDetails returns what the routes of one torrent answer. */
export function makeDetails(x) {
  const n = x.num_files;
  const pieces = 1200;
  const have = Buffer.alloc(pieces / 8, 0);
  for (let i = 0; i < pieces * x.progress; i++) have[i >> 3] |= 0x80 >> (i & 7);
  for (let i = 0; i < 90; i++) have[(i * 53) % have.length] |= 0x11;
  return {
    ...x, comment: "Made for a test of the page", piece_length: 4 << 20, pieces_total: pieces,
    file_list: Array.from({ length: n }, (_, i) => ({ path: n > 3 && i > 1 ? `extra/part ${i}.mkv` : `part ${i}.mkv`, length: Math.round(x.total_length / n), done: Math.round(x.done / n), priority: i % 4 === 3 ? "skip" : "normal" })),
    trackers: [{ url: "https://tracker.example/announce", last_announce: new Date(Date.now() - 300_000).toISOString(), next_announce: new Date(Date.now() + 1_500_000).toISOString(), seeders: x.seeders, leechers: x.leechers },
      { url: "udp://open.example:1337/announce", error: "no answer within 15 seconds", seeders: 0, leechers: 0 }],
    peers: Array.from({ length: Math.min(30, x.peers) }, (_, i) => ({ addr: `198.51.100.${i + 1}:${6881 + i}`, client: ["qBittorrent 5.1", "Transmission 4.1", "spate 1.4", "libtorrent 2.0"][i % 4], transport: ["tcp", "utp", "webrtc"][i % 3], incoming: i % 2 === 0, have: (i * 13 % 100) / 99, uploaded: i * 1e6, downloaded: i * 3e6, up_rate: i * 900, down_rate: i % 3 ? i * 40_000 : 0, interested: i % 2 === 1, unchoked: i % 3 === 1 })),
    pieces: { pieces, piece_length: 4 << 20, have: have.toString("base64"), active: [640, 641, 650], copies: 12.4 },
    history: { step: 10, until: new Date().toISOString(), down: Array.from({ length: 360 }, (_, i) => Math.round(x.down_rate * (0.7 + 0.3 * Math.sin(i / 20)))), up: Array.from({ length: 360 }, (_, i) => Math.round(x.down_rate / 9 * (0.7 + 0.3 * Math.cos(i / 31)))) },
  };
}
