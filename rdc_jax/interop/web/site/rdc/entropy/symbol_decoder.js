// A stream of symbols: passes, grouped by table, escapes after each pass, and the end mark.

import { RangeDecoder, symbolDamage } from "./range_decoder.js";
import { NUM_PHASES, tableNumber } from "./tables.js";

const MAX_SYMBOL = 2 ** 20 - 1;
const MAX_EXPONENT = 20;
const END_MARK = 0xa5;
const BIT = Float64Array.of(0, 32768, 65536);
const OCTET = Float64Array.from({ length: 257 }, (_, i) => 256 * i);

export class SymbolDecoder {
  #bank;
  #coder;
  #data;

  /** @param {import("./tables.js").TableBank} bank @param {Uint8Array} data */
  constructor(bank, data) {
    this.#bank = bank;
    this.#data = data;
    this.#coder = new RangeDecoder(data);
  }

  /**
   * Decodes one pass.
   * @param {Uint8Array} scales [n], scale indexes 0..79
   * @param {Uint8Array} phases [n], 0..31
   * @returns {Int32Array} [n], the symbols
   */
  decode(scales, phases) {
    const n = scales.length, symbols = new Int32Array(n), bank = this.#bank;
    const { order, numbers } = byTable(scales, phases, bank.sizes.length);
    const escapes = [];
    for (let i = 0; i < n; i++) {
      const place = order[i], table = numbers[place], size = bank.sizes[table];
      const entry = this.#coder.decode(bank.cumulative, bank.begins[table], size);
      symbols[place] = bank.lowest[table] + entry;
      if (entry === size - 1) escapes.push(place);
    }
    if (escapes.length) this.#decodeEscapes(symbols, escapes, numbers);
    for (let i = 0; i < n; i++) if (phases[i] >= NUM_PHASES / 2) symbols[i] = -symbols[i];
    return symbols;
  }

  /** @param {Int32Array} symbols @param {number[]} escapes @param {Uint16Array} numbers */
  #decodeEscapes(symbols, escapes, numbers) {
    const below = escapes.map(() => this.#bit());
    const exponents = new Uint8Array(escapes.length);
    let open = escapes.map((_, i) => i);
    for (let round = 0; round < MAX_EXPONENT; round++) {
      open = open.filter(() => this.#bit());
      for (const i of open) exponents[i]++;
    }
    const distances = Array.from(exponents, (e) => 2 ** e);
    for (let t = 0; t < MAX_EXPONENT; t++) {
      exponents.forEach((e, i) => {
        if (e > t) distances[i] += this.#bit() * 2 ** t;
      });
    }
    escapes.forEach((place, i) => {
      const lowest = this.#bank.lowest[numbers[place]];
      const highest = lowest + this.#bank.sizes[numbers[place]] - 2;
      const symbol = below[i] ? lowest - distances[i] : highest + distances[i];
      if (Math.abs(symbol) > MAX_SYMBOL) throw symbolDamage("an escape code is out of range");
      symbols[place] = symbol;
    });
  }

  #bit() {
    return this.#coder.decode(BIT, 0, 2);
  }

  /** Checks that the stream ends here: end mark, no zero byte last, nothing unread. */
  finish() {
    if (this.#coder.decode(OCTET, 0, 256) !== END_MARK) {
      throw symbolDamage("no end mark after the last symbol");
    }
    const size = this.#data.length;
    if (size && this.#data[size - 1] === 0) throw symbolDamage("zero bytes at the end");
    if (this.#coder.hasUnreadWords) throw symbolDamage("unread bytes after the last symbol");
  }
}

/**
 * A stable sort by table number, by counting.
 * @param {Uint8Array} scales
 * @param {Uint8Array} phases
 * @param {number} numTables
 */
function byTable(scales, phases, numTables) {
  const n = scales.length, numbers = new Uint16Array(n), next = new Int32Array(numTables + 1);
  for (let i = 0; i < n; i++) {
    numbers[i] = tableNumber(scales[i], phases[i]);
    next[numbers[i] + 1]++;
  }
  for (let table = 0; table < numTables; table++) next[table + 1] += next[table];
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[next[numbers[i]]++] = i;
  return { order, numbers };
}
