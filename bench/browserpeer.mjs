// Runs a browser for bench swarm. The argument is JSON. It opens the release page, prints READY,
// waits for a line on standard input, clicks the button, copies the file that the page saves, and
// prints DONE. CONNECTED and FIRST tell when the first data channel opened and when the first block
// had come over one, in seconds after the click, or -1.
import { copyFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const c = JSON.parse(process.argv.at(-1))
const { chromium } = await import(pathToFileURL(c.modules + '/playwright-core/index.mjs'))
const browser = await chromium.launch({
  executablePath: c.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-extensions'],
  timeout: 300_000
})
const page = await browser.newPage({ acceptDownloads: true })
page.setDefaultTimeout(0)
page.on('pageerror', (err) => console.log('ERROR', err.message))
await page.addInitScript(() => {
  const block = 16 << 10, seen = (window.benchSeen = {})
  addEventListener('click', () => { seen.click ??= performance.now() }, true)
  const note = (what) => { seen[what] ??= (performance.now() - seen.click) / 1000 }
  const watch = (channel) => {
    let got = 0
    channel.addEventListener('open', () => note('connected'))
    channel.addEventListener('message', ({ data }) => { if ((got += data.byteLength) > block) note('first') })
  }
  const Peer = RTCPeerConnection
  window.RTCPeerConnection = class extends Peer {
    constructor(...args) {
      super(...args)
      this.addEventListener('datachannel', ({ channel }) => watch(channel))
    }

    createDataChannel(...args) {
      const channel = super.createDataChannel(...args)
      watch(channel)
      return channel
    }
  }
})
await page.goto(c.page)
const button = page.locator('button[data-act=start]')
await button.waitFor()
console.log('READY')
createInterface({ input: process.stdin }).once('line', async () => {
  const saved = page.waitForEvent('download')
  await button.click()
  copyFileSync(await (await saved).path(), c.file)
  const { connected = -1, first = -1 } = await page.evaluate(() => window.benchSeen)
  console.log('CONNECTED ' + connected)
  console.log('FIRST ' + first)
  console.log('DONE')
})
