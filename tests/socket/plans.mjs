// Random plans: in each, three people write into one file, delete, undo, leave, come back and change roles, while the
// server is killed under all plans at once. Two of the three are stock y-websocket clients; the third says hello, and
// so is told what is saved. A plan is made of its number alone.
//   node plans.mjs HTTP_URL FIRST COUNT WAVE
// Says `kill` and waits for a line when the server is to be killed and started again; the last line is JSON.
import { createInterface } from 'node:readline'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

process.setMaxListeners(0) // each provider has one
const [base, first, count, wave] = process.argv.slice(2)
const ws = base.replace('http', 'ws') + '/ws'
const EVENTS = 30
const PHASES = 3
const PARTS = ['a', 'é', '漢', '😀', 'e\u0301', '\n', '👩\u200d🚀', 'a long line of words ']
const ROLES = ['editor', 'viewer']

function chances (seed) {
  let state = seed * 2654435761 >>> 0
  const next = () => {
    state = state + 0x6d2b79f5 >>> 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
  return { next, below: n => Math.floor(next() * n), of: list => list[Math.floor(next() * list.length)] }
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

async function until (condition, what) {
  for (const end = Date.now() + 60000; !condition();) {
    if (Date.now() > end) throw new Error(`not within 60 s: ${what()}`)
    await pause(5)
  }
}

async function http (method, path, headers, body) {
  const answer = await fetch(base + path, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer
}

/** y-protocols by hand, with the text frames: knows how many of its frames are saved. */
class Hello {
  constructor (session, doc, Socket) {
    Object.assign(this, { session, doc, Socket, sent: 0, durable: 0, synced: false, wanted: false })
    this.onUpdate = (update, origin) => origin !== this && this.#send(encoder => writeUpdate(encoder, update))
    doc.on('update', this.onUpdate)
  }

  get saved () { return this.synced && this.durable >= this.sent }

  connect () {
    this.wanted = true
    this.#open()
  }

  disconnect () {
    this.wanted = this.synced = false
    this.socket?.close()
    this.socket = null
  }

  destroy () { this.disconnect() }

  #open () {
    const socket = this.socket = new this.Socket(`${ws}/${this.session}`)
    socket.binaryType = 'arraybuffer'
    this.sent = this.durable = 0
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: 'hello', version: 1 }))
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, 0)
      writeSyncStep1(encoder, this.doc)
      socket.send(encoding.toUint8Array(encoder))
    }
    socket.onerror = () => {}
    socket.onclose = () => {
      if (this.socket !== socket) return
      this.synced = false
      if (this.wanted) setTimeout(() => this.wanted && this.socket === socket && this.#open(), 50)
    }
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return
      if (typeof data === 'string') {
        const message = JSON.parse(data)
        if (message.type === 'saved') this.durable = message.updates
        return
      }
      const decoder = decoding.createDecoder(new Uint8Array(data))
      if (decoding.readVarUint(decoder) !== 0) return
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, 0)
      const kind = readSyncMessage(decoder, encoder, this.doc, this)
      if (encoding.length(encoder) > 1) {
        this.sent++
        socket.send(encoding.toUint8Array(encoder))
      }
      if (kind === 1) this.synced = true
    }
  }

  #send (write) {
    if (this.socket?.readyState !== WebSocket.OPEN) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    write(encoder)
    this.sent++
    this.socket.send(encoding.toUint8Array(encoder))
  }
}

class Person {
  static async joined (plan, number) {
    const answer = await http('POST', `/api/sessions/${plan.session.id}/join`, {}, { token: plan.session.tokens.edit, name: `person ${number}` })
    return new Person(plan, number, (await answer.json()).participant, answer.headers.get('set-cookie').split(';')[0])
  }

  constructor (plan, number, participant, cookie) {
    const Socket = class extends WebSocket {
      constructor (address) { super(address, { headers: { Cookie: cookie, Origin: base } }) }
    }
    this.doc = new Y.Doc()
    this.participant = participant
    this.role = 'editor'
    this.here = false
    this.provider = number === 0
      ? new Hello(plan.session.id, this.doc, Socket)
      : new WebsocketProvider(ws, plan.session.id, this.doc, { WebSocketPolyfill: Socket, disableBc: true, connect: false, maxBackoffTime: 200 })
  }

  get text () { return [...this.doc.getMap('files').values()][0]?.get('text') }

  async come () {
    this.here = true
    this.provider.connect()
    await until(() => this.provider.synced && this.text, () => 'somebody comes')
    this.undo ??= new Y.UndoManager(this.text, { trackedOrigins: new Set(['typed']), captureTimeout: 0 })
  }

  go () {
    this.here = false
    this.provider.disconnect()
  }
}

const isMark = character => character >= '\u4e00' && character <= '\u9fff' && character !== '漢'
const marksOf = text => [...text].filter(isMark)

class Plan {
  static async made (number) {
    const plan = new Plan()
    plan.number = number
    plan.chance = chances(number)
    plan.session = await (await http('POST', '/api/sessions', {}, { files: [{ path: 'plan.txt', content: 'begin\n' }] })).json()
    plan.people = [await Person.joined(plan, 0), await Person.joined(plan, 1), await Person.joined(plan, 2)]
    plan.written = new Set()
    plan.gone = new Set()
    plan.safe = new Set()
    await Promise.all(plan.people.map(person => person.come()))
    return plan
  }

  async act () {
    const { chance } = this
    const person = chance.of(this.people)
    const event = chance.next()
    // People who are away write as well: their document goes on without us.
    if (event < 0.6) this.write(person)
    else if (event < 0.7) this.remove(person)
    else if (event < 0.75) this.takeBack(person)
    else if (event < 0.85) await (person.here ? person.go() : person.come())
    else if (event < 0.92) await this.change(person)
    else await pause(chance.below(10))
  }

  write (person) {
    const text = person.text.toString()
    const mark = String.fromCodePoint(0x4e00 + this.written.size)
    if (mark === '漢') throw new Error('too many marks')
    person.doc.transact(() => person.text.insert(this.chance.of(boundaries(text)), mark + this.chance.of(PARTS)), 'typed')
    this.written.add(mark)
  }

  remove (person) {
    const text = person.text.toString()
    const places = boundaries(text)
    const at = this.chance.below(places.length - 1)
    const [from, end] = [places[at], places[Math.min(places.length - 1, at + 1 + this.chance.below(12))]]
    for (const mark of marksOf(text.slice(from, end))) this.gone.add(mark)
    person.text.delete(from, end - from)
  }

  takeBack (person) {
    const before = new Set(marksOf(person.text.toString()))
    person.undo.undo()
    const after = new Set(marksOf(person.text.toString()))
    const taken = [...before].filter(mark => !after.has(mark))
    if (taken.length > 1) throw new Error(`undo took back ${taken.length} insertions`)
    for (const mark of taken) this.gone.add(mark)
  }

  async change (person) {
    person.role = this.chance.of(ROLES)
    await http('PATCH', `/api/sessions/${this.session.id}/participants/${person.participant}`, { Authorization: `Bearer ${this.session.tokens.host}` }, { role: person.role })
  }

  /** What one who is told so knows to be saved, for half of the plans; the others are killed in mid-word. */
  async rest () {
    const [person] = this.people
    if (this.chance.next() < 0.5 || !person.here || person.role === 'viewer') return
    await until(() => person.provider.saved, () => `plan ${this.number}: saved (${person.provider.durable} of ${person.provider.sent})`)
    this.safe = new Set(marksOf(person.text.toString()))
  }

  async check () {
    const text = await this.served()
    for (const mark of this.safe) {
      if (!this.gone.has(mark) && text.split(mark).length !== 2) throw new Error(`plan ${this.number}: ${mark} was saved, and is there ${text.split(mark).length - 1} times`)
    }
  }

  async served () {
    return (await http('GET', `/api/sessions/${this.session.id}/files/plan.txt`, { Authorization: `Bearer ${this.session.tokens.view}` })).text()
  }

  async end () {
    for (const person of this.people) {
      if (person.role === 'viewer') {
        this.chance.of = () => 'editor'
        await this.change(person)
      }
      if (!person.here) await person.come()
    }
    const expected = [...this.written].filter(mark => !this.gone.has(mark))
    const texts = () => this.people.map(person => person.text.toString())
    const whole = text => marksOf(text).length === expected.length && expected.every(mark => text.split(mark).length === 2)
    await until(() => new Set(texts()).size === 1 && whole(texts()[0]), () => `plan ${this.number}: all have all of it, once: ${JSON.stringify({ expected: expected.join(''), gone: [...this.gone].join(''), texts: texts() })}`)
    if (await this.served() !== texts()[0]) throw new Error(`plan ${this.number}: the server has another text`)
    for (const person of this.people) {
      person.provider.destroy()
      person.doc.destroy()
    }
  }
}

/** The places between characters as people see them: nobody's caret gets into one. */
function boundaries (text) {
  return [...[...new Intl.Segmenter().segment(text)].map(each => each.index), text.length]
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
let killed = 0
for (let from = Number(first); from < Number(first) + Number(count); from += Number(wave)) {
  const numbers = Array.from({ length: Math.min(Number(wave), Number(first) + Number(count) - from) }, (_, index) => from + index)
  const plans = await Promise.all(numbers.map(number => Plan.made(number)))
  for (let phase = 0; phase < PHASES; phase++) {
    await Promise.all(plans.map(async plan => {
      for (let event = 0; event < EVENTS / PHASES; event++) await plan.act()
      await plan.rest()
    }))
    if (phase === PHASES - 1) break
    killed++
    console.log('kill')
    await lines.next()
    await Promise.all(plans.map(plan => plan.check()))
  }
  await Promise.all(plans.map(plan => plan.end()))
}
console.log(JSON.stringify({ plans: Number(count), kills: killed }))
process.exit(0)
