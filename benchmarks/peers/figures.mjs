// What is measured, and how it is summed up.
import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** CPU seconds of a process and its threads so far; NaN where there is no /proc. */
export function cpuSeconds(pid) {
  try {
    // The name may hold spaces and brackets: the fields are counted from the last bracket on.
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

export class Samples {
  constructor() {
    this.values = new Float64Array(1024);
    this.length = 0;
  }

  add(value) {
    if (this.length === this.values.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  /** p50, p95, p99. */
  percentiles() {
    const sorted = this.values.subarray(0, this.length).slice().sort();
    return [0.5, 0.95, 0.99].map((share) => sorted[Math.min(this.length - 1, Math.floor(share * this.length))] ?? Number.NaN);
  }
}
