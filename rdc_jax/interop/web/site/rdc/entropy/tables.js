// The probability tables: one for each scale index and folded dither phase.

import { RdcError } from "../errors.js";

export const NUM_SCALES = 80;
export const NUM_PHASES = 32;
const NUM_TABLES = NUM_SCALES * NUM_PHASES / 2;
const TOTAL = 65536;
const MAX_REACH = 1023;

const damage = (/** @type {string} */ what) =>
  new RdcError(`probability tables are damaged (${what}): install the model's weights again`);

export class TableBank {
  /**
   * @param {import("./safetensors.js").Arrays} arrays all of the model; names begin with tables/
   */
  constructor(arrays) {
    const [lowest, offsets, counts] = ["lowest", "offsets", "counts"].map((name) => {
      const array = arrays.get(`tables/${name}`);
      if (!array) throw damage(`no ${name}`);
      return array.data;
    });
    if (lowest.length !== NUM_TABLES || offsets.length !== NUM_TABLES + 1) {
      throw damage(`${lowest.length} tables instead of ${NUM_TABLES}`);
    }
    /** Smallest symbol of each table. */
    this.lowest = Int32Array.from(lowest);
    /** Entries of each table, the escape included, which is the last one. */
    this.sizes = new Int32Array(NUM_TABLES);
    /** Where the cumulative weights of each table begin. */
    this.begins = new Int32Array(NUM_TABLES);
    /** Of each table its size + 1 cumulative weights, 0 .. 65536. */
    this.cumulative = new Float64Array(counts.length + NUM_TABLES);
    if (offsets[0] !== 0 || offsets[NUM_TABLES] !== counts.length) {
      throw damage("offsets do not partition the counts");
    }
    for (let n = 0; n < NUM_TABLES; n++) this.#add(n, offsets, counts);
  }

  /** @param {number} n @param {ArrayLike<number>} offsets @param {ArrayLike<number>} counts */
  #add(n, offsets, counts) {
    const size = offsets[n + 1] - offsets[n], begin = offsets[n] + n;
    if (size < 2) throw damage("offsets do not partition the counts");
    if (this.lowest[n] < -MAX_REACH || this.lowest[n] + size - 2 > MAX_REACH) {
      throw damage(`a table reaches beyond +-${MAX_REACH}`);
    }
    this.sizes[n] = size;
    this.begins[n] = begin;
    let sum = 0;
    for (let i = 0; i < size; i++) {
      if (counts[offsets[n] + i] < 1) throw damage("a count is zero");
      sum += counts[offsets[n] + i];
      this.cumulative[begin + i + 1] = sum;
    }
    if (sum !== TOTAL) throw damage(`the counts of a table do not sum to ${TOTAL}`);
  }
}

/**
 * The scale index of log2(s / Delta), given at 10 fractional bits.
 * @param {number} x an integer
 */
export function scaleIndex(x) {
  const index = Math.floor((12 * x + 85 * 1024) / 2048);
  return Math.min(Math.max(index, 0), NUM_SCALES - 1);
}

/** @param {number} scale scale index @param {number} phase 0..31 */
export const tableNumber = (scale, phase) =>
  16 * scale + (phase >= NUM_PHASES / 2 ? NUM_PHASES - 1 - phase : phase);
