// Runs a peer of webtorrent for bench swarm. The argument is JSON. It prints READY, waits for a
// line on standard input, adds the torrent, prints DONE when it is complete, and "UP n", the
// payload sent, each second.
import { register } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

// WebRTC needs a binary that npm install --ignore-scripts does not fetch. Peers of TCP and
// uTP do not need it, so this replaces its module by an empty one.
const empty = 'export const RTCPeerConnection = null, RTCSessionDescription = null, RTCIceCandidate = null; export default {}'
register('data:text/javascript,' + encodeURIComponent(`
export async function resolve(name, context, next) {
  return name === 'webrtc-polyfill' ? { url: ${JSON.stringify('data:text/javascript,' + encodeURIComponent(empty))}, shortCircuit: true } : next(name, context)
}`))
const c = JSON.parse(process.argv.at(-1))
const { default: WebTorrent } = await import(pathToFileURL(c.modules + '/webtorrent/index.js'))
const client = new WebTorrent({ dht: false, lsd: false, natUpnp: false, natPmp: false, torrentPort: c.port, uploadLimit: c.rider ? 1000 : -1 })
client.on('error', e => { console.log('ERROR', String(e)); process.exit(1) })
console.log('READY')
createInterface({ input: process.stdin }).once('line', () => {
  const torrent = client.add(c.torrent, { path: c.dir })
  torrent.on('done', () => console.log('DONE'))
  setInterval(() => console.log('UP ' + torrent.uploaded), 1000)
})
for (const s of ['SIGTERM', 'SIGINT']) process.on(s, () => process.exit(0))
