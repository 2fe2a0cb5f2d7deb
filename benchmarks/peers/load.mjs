// The load generator: cheap y-protocols clients, hundreds in one process, the same for every server.
// Reads one JSON command a line, answers each with one line:
//   {"do":"open","url","rooms":[{"name","token"?}],"members","typists","updates","hocuspocus"?,"hello"?,"pid"?}
//        -> {"cpu"}: seconds of the server's, for all of them to come in
//   {"do":"measure","seconds","rate"}  every typist sends `rate` updates a second                         -> figures
//   {"do":"check"}  one more client for each room: does the server have everything that was sent?        -> {"lost"}
import { createInterface } from "node:readline";
import { Client, open, Room, sleep } from "./clients.mjs";
import { cpuSeconds, Samples } from "./figures.mjs";

const QUIET_MS = 10_000;
const CHECKED_AT_ONCE = 20;

let setup;
let rooms = [];
let seed = 1;

// The same "random" moments in each run (mulberry32).
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const commands = {
  async open(given) {
    setup = given;
    const opened = given.rooms.map((room) => new Room(given, room));
    const before = cpuSeconds(given.pid);
    await open(opened, given.members);
    const cpu = cpuSeconds(given.pid) - before;
    for (const room of opened) room.prepare(given.typists, given.updates);
    rooms = rooms.concat(opened);
    return { cpu };
  },

  async measure({ seconds, rate }) {
    const typists = rooms.flatMap((room) => room.writers);
    const due = typists.map((writer) => ({ writer, phase: random() / rate })).sort((a, b) => a.phase - b.phase);
    const total = Math.min(Math.round(seconds * rate), typists[0].frames.length - typists[0].next) * due.length;
    const figures = { latency: new Samples(), late: new Samples(), frames: 0, bytes: 0, awaited: 0, gaps: 0 };
    for (const room of rooms) room.figures = figures;
    const [own, cpu, begun] = [process.cpuUsage(), cpuSeconds(setup.pid), performance.now()];
    for (let sent = 0; sent < total; ) {
      const now = performance.now();
      for (; sent < total; sent++) {
        const { writer, phase } = due[sent % due.length];
        const moment = begun + (phase + Math.floor(sent / due.length) / rate) * 1000;
        if (moment > now) break;
        figures.late.add(now - moment);
        writer.send();
      }
      // A short pause, so that what comes in is read at once and one burst is about what one millisecond brings.
      if (sent < total) await sleep(0.5);
    }
    const missing = await settled(figures);
    const wall = (performance.now() - begun) / 1000;
    const load = process.cpuUsage(own);
    return {
      sent: total,
      wall,
      cpu: cpuSeconds(setup.pid) - cpu,
      load: (load.user + load.system) / 1e6 / wall,
      frames: figures.frames,
      bytes: figures.bytes,
      deliveries: figures.latency.length,
      missing: missing + figures.gaps,
      late: figures.late.percentiles()[2],
      latency: figures.latency.percentiles(),
    };
  },

  async check() {
    let lost = 0;
    for (let at = 0; at < rooms.length; at += CHECKED_AT_ONCE) {
      const some = rooms.slice(at, at + CHECKED_AT_ONCE).map((room) => new Room(setup, room));
      await open(some, 1);
      some.forEach((fresh, index) => {
        const clocks = fresh.clocks();
        for (const writer of rooms[at + index].writers) lost += Math.max(0, writer.next - (clocks.get(writer.id) ?? 0));
        fresh.clients[0].socket.terminate();
      });
    }
    return { lost };
  },
};

/** Waits until everybody has everything, or nothing new has come for a while. Returns how many deliveries are missing. */
async function settled(figures) {
  let [seen, quiet] = [-1, performance.now()];
  while (figures.awaited > 0) {
    if (figures.latency.length !== seen) [seen, quiet] = [figures.latency.length, performance.now()];
    if (performance.now() - quiet > QUIET_MS) break;
    await sleep(2);
  }
  return figures.awaited;
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  console.log(JSON.stringify(await commands[command.do](command)));
}
process.exit(0);
