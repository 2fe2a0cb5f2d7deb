// The session's history as one row of positions, over segments that are fetched when they are looked at.
import { historyOverview, historySegment, type Overview, type SegmentInfo } from "./api";
import { Authorship, type Writer } from "./authorship";
import { Segment, type Step } from "./segment";

const LIVE = "live";
// Read segments that are kept: a long one takes tens of megabytes.
const KEPT = 3;
// A pause longer than this, or another writer, begins another burst.
const BURST_MS = 4_000;
const TRIES = 3;

/** One version: a step of a segment. */
export interface Version {
  position: number;
  segment: Segment;
  index: number;
  step: Step;
}

interface Part {
  info: SegmentInfo;
  /** Position p is step p - offset of this part, from 1 on. */
  offset: number;
  segment: Promise<Segment> | null;
  read: Segment | null;
  used: number;
}

export class History {
  readonly #parts: Part[] = [];
  #uses = 0;

  private constructor(
    readonly session: string,
    readonly authorship: Authorship,
  ) {}

  /** As it stands now. `progress` is told how much of the newest part is read, from 0 to 1. */
  static async open(session: string, progress: (part: number) => void): Promise<History> {
    for (let tries = 1; ; tries++) {
      const overview = await historyOverview(session);
      const live = await historySegment(session, LIVE);
      // What is live moves to a segment of its own now and then: the two must be of one state.
      const again = await historyOverview(session);
      if (overview.segments.length === again.segments.length || tries === TRIES) {
        return History.#from(session, again, await Segment.read(live, progress));
      }
    }
  }

  static #from(session: string, overview: Overview, live: Segment): History {
    const history = new History(session, new Authorship(overview.authors));
    let offset = 0;
    for (const info of overview.segments) {
      const isLive = info.id === LIVE;
      const updates = isLive ? live.last : info.updates;
      const part = { info: { ...info, updates }, offset, segment: isLive ? Promise.resolve(live) : null };
      history.#parts.push({ ...part, read: isLive ? live : null, used: 0 });
      offset += updates;
    }
    return history;
  }

  /** The newest position; the oldest is `first`. */
  get last(): number {
    const part = this.#parts.at(-1);
    return part ? part.offset + part.info.updates : 0;
  }

  get first(): number {
    return Math.min(1, this.last);
  }

  /** Known without reading anything: exact in what has been read, else in between the segment's ends. */
  timeOf(position: number): number {
    const part = this.#partOf(position);
    const step = part.read?.steps[position - part.offset];
    if (step) return step.at;
    const { from, to, updates } = part.info;
    return from + ((to - from) * Math.max(0, position - part.offset - 1)) / Math.max(1, updates - 1);
  }

  /** undefined: not read yet; null: nobody known, or only deleted. */
  writerOf(position: number): Writer | null | undefined {
    const part = this.#partOf(position);
    const step = part.read?.steps[position - part.offset];
    if (!step) return undefined;
    return step.wrote ? this.authorship.of(...step.wrote) : null;
  }

  isRead(position: number): boolean {
    return this.#partOf(position).read !== null;
  }

  async version(position: number, progress: (part: number) => void = () => {}): Promise<Version> {
    const part = this.#partOf(position);
    const segment = part.read ?? (await this.#read(part, progress));
    part.used = ++this.#uses;
    const index = Math.min(segment.last, position - part.offset);
    const step = segment.steps[index];
    if (!step) throw new Error(`The history has no step ${position}.`);
    return { position, segment, index, step };
  }

  /** Where the burst of writing before or after a position ends. Stops at a part that has not been read. */
  burst(position: number, direction: 1 | -1): number {
    let at = Math.max(this.first, Math.min(this.last, position + direction));
    // Going back leads to the end of the burst before: what was there when a writer paused.
    for (; direction > 0 ? at < this.last : at > this.first; at += direction) {
      if (!this.isRead(at) || !this.isRead(at + 1) || this.#pauses(at)) break;
    }
    return at;
  }

  #pauses(position: number): boolean {
    if (this.timeOf(position + 1) - this.timeOf(position) > BURST_MS) return true;
    const [now, next] = [this.writerOf(position), this.writerOf(position + 1)];
    // A deletion belongs to whoever writes around it, as far as anybody knows.
    return now?.key !== next?.key && now !== null && next !== null;
  }

  #read(part: Part, progress: (part: number) => void): Promise<Segment> {
    part.segment ??= (async () => {
      try {
        const segment = await Segment.read(await historySegment(this.session, part.info.id), progress);
        part.read = segment;
        this.#forget(part);
        return segment;
      } catch (error) {
        part.segment = null;
        throw error;
      }
    })();
    return part.segment;
  }

  #forget(newest: Part): void {
    const read = this.#parts.filter((part) => part.read && part !== newest && part.info.id !== LIVE);
    read.sort((a, b) => b.used - a.used);
    for (const part of read.slice(KEPT - 1)) part.read = part.segment = null;
  }

  #partOf(position: number): Part {
    const part = this.#parts.findLast(({ offset }) => offset < position) ?? this.#parts[0];
    if (!part) throw new Error("The history is empty.");
    return part;
  }
}
