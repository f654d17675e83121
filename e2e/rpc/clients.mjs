// Controls a daemon with the client libraries of media managers: every call must have the result that
// docs/rpc.md promises.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Transmission } from '@ctrl/transmission';

const Promised = createRequire(import.meta.url)('transmission-promise');
const [port, token, torrent, dir] = process.argv.slice(2);
const file = readFileSync(torrent);
let failures = 0;

// check runs f and compares what it returns, or the text of its error, with want.
async function check(name, want, f) {
  let got;
  try {
    const v = await f();
    got = v?.result && v.result !== 'success' ? v.result : v;
  } catch (e) {
    got = String(e.message ?? e);
  }
  const ok = typeof want === 'function' ? want(got) : String(got).includes(want);
  if (!ok) {
    failures++;
    console.log(`FAIL ${name}: ${JSON.stringify(got)}`);
  }
  return got;
}
const done = (r) => typeof r === 'object';

const a = new Transmission({ baseUrl: `http://127.0.0.1:${port}/`, username: 'any', password: token });
await check('getSession', (r) => r.arguments['download-dir'] === dir && /^\d+\.\d+/.test(r.arguments.version), () => a.getSession());
await check('addTorrent', (r) => r.arguments['torrent-added'].name === 'd', () => a.addTorrent(file, { paused: true, 'download-dir': dir }));
await check('addTorrent again', (r) => r.arguments['torrent-duplicate'].name === 'd', () => a.addTorrent(file, { 'download-dir': dir }));
await check('addMagnet', (r) => r.arguments['torrent-added'].id === 2, () => a.addMagnet('magnet:?xt=urn:btih:' + '2'.repeat(40), { paused: true, 'download-dir': dir }));
await check('addMagnet to its default directory', 'not in a folder for downloads', () => a.addMagnet('magnet:?xt=urn:btih:' + '3'.repeat(40)));
await check('getAllData', (r) => r.torrents.length === 2 && r.torrents[0].state === 'paused' && r.torrents[0].savePath === dir, () => a.getAllData());
for (const m of ['resumeTorrent', 'verifyTorrent', 'reannounceTorrent', 'queueTop', 'queueBottom', 'queueUp', 'queueDown', 'pauseTorrent']) {
  await check(m, done, () => a[m](1));
}
await check('freeSpace', (r) => r.arguments['size-bytes'] > 0, () => a.freeSpace(dir));
await check('setTorrent', done, () => a.setTorrent(1, { downloadLimit: 100, downloadLimited: true, labels: ['films'], seedRatioLimit: 2, seedRatioMode: 1, seedIdleLimit: 30, seedIdleMode: 1 }));
await check('listTorrents', (r) => {
  const t = r.arguments.torrents[0];
  return t.downloadLimit === 100 && t.labels[0] === 'films' && t.seedRatioLimit === 2 && t.seedIdleLimit === 30 && t.seedIdleMode === 1 && t['file-count'] === 2 && t.secondsSeeding >= 0;
}, () => a.listTorrents(1, ['seedIdleLimit', 'seedIdleMode', 'file-count', 'secondsSeeding']));
await check('bandwidthPriority', 'bandwidth_priority', () => a.setTorrent(1, { bandwidthPriority: 1 }));
await check('script', 'script_torrent_done', () => a.setSession({ 'script-torrent-done-enabled': true, 'script-torrent-done-filename': '/bin/true' }));
await check('setSession', done, () => a.setSession({ 'speed-limit-up': 500, 'speed-limit-up-enabled': true }));
await check('moveTorrent', done, () => a.moveTorrent(1, dir + '/sub'));
await check('renamePath', 'torrent_rename_path', () => a.renamePath(1, { path: 'd', name: 'e' }));
await check('removeTorrent', done, () => a.removeTorrent(1, false));

const b = new Promised({ host: '127.0.0.1', port, username: 'any', password: token });
await check('session', (r) => r['speed-limit-up'] === 500, () => b.session());
await check('sessionStats', (r) => r.torrentCount === 1, () => b.sessionStats());
await check('addBase64', (r) => r.name === 'd', () => b.addBase64(file.toString('base64'), { 'download-dir': dir, paused: true }));
await check('addFile', 'reads no files', () => b.addFile('/etc/passwd'));
const { torrents } = await b.get();
const id = torrents.find((t) => t.name === 'd').id;
await check('get', (r) => r.torrents[0].files.length === 2 && r.torrents[0].fileStats.length === 2, () => b.get(id, ['files', 'fileStats', 'peers', 'trackers']));
for (const m of ['start', 'startNow', 'verify', 'reannounce', 'stop']) {
  await check(m, done, () => b[m](id));
}
await check('set', done, () => b.set(id, { uploadLimit: 5, uploadLimited: true }));
await check('move', done, () => b.move(id, dir + '/other', true));
await check('active', done, () => b.active());
await check('rename', 'torrent_rename_path', () => b.rename(id, 'd', 'e'));
await check('remove', done, () => b.remove(id, true));
console.log(failures ? `${failures} calls failed` : 'all calls have the promised result');
process.exit(failures ? 1 : 0);
