// Stock y-websocket clients in one room: they join, write at the same time, leave. Prints what was seen as JSON.
//   node stock_clients.mjs WS_URL SESSION TOKEN CLIENTS
import WebSocket from 'ws'
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'

const [url, session, token, count] = process.argv.slice(2)

const frames = []
function socketClass (index) {
  frames[index] = { binary: 0, text: 0 }
  return class extends WebSocket {
    constructor (address) {
      super(address, { headers: { Authorization: `Bearer ${token}` } })
      this.on('message', (_, isBinary) => { frames[index][isBinary ? 'binary' : 'text'] += 1 })
    }
  }
}

async function until (condition, what) {
  for (const end = Date.now() + 20000; !condition();) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

const clients = []
for (let index = 0; index < Number(count); index++) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, session, doc, { WebSocketPolyfill: socketClass(index), disableBc: true })
  provider.awareness.setLocalStateField('user', { name: `client ${index}`, color: '#123456' })
  clients.push({ doc, provider })
}
await until(() => clients.every(({ provider }) => provider.synced), 'all are in sync')
await until(() => clients.every(({ provider }) => provider.awareness.getStates().size === clients.length), 'all see all carets')
const join = frames.map(seen => seen.binary)

const text = ({ doc }) => [...doc.getMap('files').values()][0].get('text')
const sizes = () => clients.map(client => text(client).toString())
let before = frames.map(seen => seen.binary)
text(clients[0]).insert(0, 'k')
await until(() => sizes().every(value => value.startsWith('k')), 'one keystroke is everywhere')
await new Promise(resolve => setTimeout(resolve, 300)) // long enough for a frame too many to come
const keystroke = frames.map((seen, index) => seen.binary - before[index])

const marks = clients.map((_, index) => String.fromCodePoint(0x1f600 + index) + 'e\u0301')
clients.forEach((client, index) => {
  // Between characters: a stock client does not write into the middle of one either.
  for (let times = 0; times < 20; times++) text(client).insert(times % 2 ? 1 : text(client).length, marks[index])
})
const expected = 20 * clients.length
const drawn = value => [...value].filter(c => c.codePointAt(0) >= 0x1f600 && c.codePointAt(0) < 0x1f700).length
await until(() => new Set(sizes()).size === 1 && drawn(sizes()[0]) === expected, 'all have all of it')

console.log(JSON.stringify({ join, keystroke, text: sizes()[0], textFrames: frames.reduce((sum, seen) => sum + seen.text, 0) }))
clients.forEach(({ provider }) => provider.destroy())
process.exit(0)
