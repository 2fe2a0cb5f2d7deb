// When each character of a stretch of the history came and went: a version is then a filter, and no replay.
import * as Y from "yjs";

/** Of step n, counted from 0: the state before the stretch. */
export const NEVER = Number.POSITIVE_INFINITY;

/** Text that came in one step, went in one step (or NEVER), and has consecutive clocks of one client. */
export interface Piece {
  text: string;
  client: number;
  clock: number;
  born: number;
  died: number;
}

interface Births {
  /** Clocks below `ends[i]`, and not below `ends[i - 1]`, came in `steps[i]`. */
  ends: number[];
  steps: number[];
}

interface Death {
  clock: number;
  end: number;
  step: number;
}

export class Lifetimes {
  readonly #births = new Map<number, Births>();
  readonly #deaths = new Map<number, Death[]>();

  /** Steps must be told in their order. Returns what the step wrote first: [client, clock], or null if it only deleted. */
  record(step: number, update: Uint8Array): [client: number, clock: number] | null {
    const { structs, ds } = Y.decodeUpdate(update);
    let first: [number, number] | null = null;
    for (const struct of structs) {
      if (struct instanceof Y.Skip) continue;
      const { client, clock } = struct.id;
      let births = this.#births.get(client);
      if (!births) {
        births = { ends: [], steps: [] };
        this.#births.set(client, births);
      }
      const end = clock + struct.length;
      if (end <= (births.ends.at(-1) ?? 0)) continue;
      first ??= [client, clock];
      if (births.steps.at(-1) === step) births.ends[births.ends.length - 1] = end;
      else {
        births.ends.push(end);
        births.steps.push(step);
      }
    }
    for (const [client, items] of ds.clients) {
      const deaths = this.#deaths.get(client) ?? [];
      for (const { clock, len } of items) deaths.push({ clock, end: clock + len, step });
      this.#deaths.set(client, deaths);
    }
    return first;
  }

  /** After the last step. */
  settle(): void {
    for (const deaths of this.#deaths.values()) {
      deaths.sort((a, b) => a.clock - b.clock || a.step - b.step);
      let kept = 0;
      let end = 0;
      for (const death of deaths) {
        // Told twice: the first counts.
        const clock = Math.max(death.clock, end);
        if (clock >= death.end) continue;
        end = death.end;
        deaths[kept++] = { clock, end, step: death.step };
      }
      deaths.length = kept;
    }
  }

  born(client: number, clock: number): number {
    const births = this.#births.get(client);
    if (!births) return NEVER;
    return births.steps[above(births.ends, clock)] ?? NEVER;
  }

  died(client: number, clock: number): number {
    const deaths = this.#deaths.get(client) ?? [];
    const death = deaths[firstEndingAfter(deaths, clock)];
    return death && death.clock <= clock ? death.step : NEVER;
  }

  /** The text of clocks from `clock` on, cut where its parts came or went at different times. */
  pieces(client: number, clock: number, text: string): Piece[] {
    const births = this.#births.get(client) ?? { ends: [], steps: [] };
    const deaths = this.#deaths.get(client) ?? [];
    const end = clock + text.length;
    const pieces: Piece[] = [];
    let birth = above(births.ends, clock);
    let death = firstEndingAfter(deaths, clock);
    for (let at = clock; at < end; ) {
      const gone = deaths[death];
      const dead = gone !== undefined && gone.clock <= at;
      const until = Math.min(end, births.ends[birth] ?? end, gone ? (dead ? gone.end : gone.clock) : end);
      pieces.push({
        text: text.slice(at - clock, until - clock),
        ...{ client, clock: at },
        born: births.steps[birth] ?? NEVER,
        died: dead ? gone.step : NEVER,
      });
      at = until;
      if (at >= (births.ends[birth] ?? end)) birth++;
      if (gone && at >= gone.end) death++;
    }
    return pieces;
  }
}

/** The index of the first number above `value`. */
function above(numbers: number[], value: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

function firstEndingAfter(deaths: Death[], clock: number): number {
  let low = 0;
  let high = deaths.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((deaths[middle]?.end ?? 0) > clock) high = middle;
    else low = middle + 1;
  }
  return low;
}
