// A range decoder with 32-bit words and a 64-bit state, in pairs of 32-bit halves.
//
// The document's `point - lower` is `offset` here. Each half is an integer below 2^32 in a float64.
// Weights are given in units of 2^-16, that is, 256 of the 2^24 units of the document.

import { RdcError } from "../errors.js";

const WORD = 2 ** 32;

/** @param {string} what */
export const symbolDamage = (what) => new RdcError(
  `coded symbols do not decode (${what}): the file is damaged or was made with other weights`);

export class RangeDecoder {
  #data;
  #words;
  #taken = 0;
  #extentHigh = WORD - 1;
  #extentLow = WORD - 1;
  #offsetHigh = 0;
  #offsetLow = 0;
  #high = 0;  // result of #multiply
  #low = 0;

  /** @param {Uint8Array} data bytes beyond the end read as zero */
  constructor(data) {
    this.#data = data;
    this.#words = Math.ceil(data.length / 4);
    this.#offsetHigh = this.#word();
    this.#offsetLow = this.#word();
  }

  #word() {
    const at = 4 * this.#taken++, data = this.#data;
    let word = 0;
    for (let i = 0; i < 4; i++) word = word * 256 + (at + i < data.length ? data[at + i] : 0);
    return word;
  }

  /**
   * Decodes one symbol: the entry s with C[s] <= quantile < C[s + 1].
   * @param {Float64Array} cumulative holds C[0] = 0 .. C[size] = 65536, from `begin` on
   * @param {number} begin
   * @param {number} size number of entries
   */
  decode(cumulative, begin, size) {
    const unit = (this.#extentHigh * 256 + (this.#extentLow >>> 24)) * 256;  // below 2^48
    const quantile = (this.#offsetHigh * WORD + this.#offsetLow) / unit;  // rounded
    let s = 0, end = size;
    while (end - s > 1) {
      const middle = (s + end) >> 1;
      if (cumulative[begin + middle] <= quantile) s = middle;
      else end = middle;
    }
    // The rounded quantile may have crossed one boundary; exact comparisons settle that.
    this.#multiply(unit, cumulative[begin + s]);
    if (this.#isBeyond()) this.#multiply(unit, cumulative[begin + --s]);
    const lowHigh = this.#high, lowLow = this.#low;
    this.#multiply(unit, cumulative[begin + s + 1]);
    if (!this.#isBeyond()) {
      if (s + 1 === size) throw symbolDamage("the range coder left its interval");
      return this.#narrow(++s, this.#high, this.#low, unit,
        cumulative[begin + s + 1] - cumulative[begin + s]);
    }
    return this.#narrow(s, lowHigh, lowLow, unit,
      cumulative[begin + s + 1] - cumulative[begin + s]);
  }

  /** Whether the last product is larger than the offset. */
  #isBeyond() {
    return this.#high > this.#offsetHigh
      || (this.#high === this.#offsetHigh && this.#low > this.#offsetLow);
  }

  /** The 64-bit product of `unit` < 2^48, a multiple of 256, and a weight of at most 2^16. */
  #multiply(/** @type {number} */ unit, /** @type {number} */ weight) {
    const unitHigh = Math.floor(unit / 2 ** 24);
    const high = unitHigh * weight, low = (unit - unitHigh * 2 ** 24) * weight;  // below 2^40
    const carried = Math.floor(high / 256);
    const rest = (high - carried * 256) * 2 ** 24 + low;
    const carry = Math.floor(rest / WORD);
    this.#high = carried + carry;
    this.#low = rest - carry * WORD;
  }

  /**
   * Moves to entry s, which begins at (high, low).
   * @param {number} s
   * @param {number} high
   * @param {number} low
   * @param {number} unit
   * @param {number} weight
   */
  #narrow(s, high, low, unit, weight) {
    const borrow = this.#offsetLow < low ? 1 : 0;
    this.#offsetLow += borrow * WORD - low;
    this.#offsetHigh -= high + borrow;
    this.#multiply(unit, weight);
    this.#extentHigh = this.#high;
    this.#extentLow = this.#low;
    if (this.#extentHigh === 0) {
      this.#extentHigh = this.#extentLow;
      this.#extentLow = 0;
      this.#offsetHigh = this.#offsetLow;
      this.#offsetLow = this.#word();
    }
    return s;
  }

  /** Whether words are left that were never read. */
  get hasUnreadWords() {
    return this.#words > this.#taken;
  }
}
