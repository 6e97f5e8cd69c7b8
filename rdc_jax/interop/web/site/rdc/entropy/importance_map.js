// Decoding of the importance map: adaptive binary decisions of a 32-bit range coder.
// docs/bitstream.md, "Importance map", numbers the contexts and specifies each decision.

import { RdcError } from "../errors.js";

const SAME_ROW = 1, AS_PREDICTED = 3, ABOVE = 67, NEIGHBOUR = 71, EXPONENT = 73, MANTISSA = 81;
const LEVEL = 89, NUM_CONTEXTS = LEVEL + 256;
const MAX_EXPONENT = 7, MAX_VISITS = 127;
const RATES = Float64Array.from({ length: MAX_VISITS + 1 }, (_, v) =>
  Math.floor(131072 / (2 * v + 3)));

const damage = () =>
  new RdcError("the importance map does not decode: the file is damaged, fetch it again");

class BitDecoder {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    this.next = 4;
    this.extent = 2 ** 32 - 1;
    this.offset = 0;
    for (let i = 0; i < 4; i++) this.offset = this.offset * 256 + (data[i] ?? 0);
    if (this.offset >= this.extent) throw damage();
    this.probability = new Uint16Array(NUM_CONTEXTS).fill(32768);
    this.probability[AS_PREDICTED + 63] = 63000;
    this.visits = new Uint8Array(NUM_CONTEXTS);
  }

  /** One decision. @param {number} context @returns {0 | 1} */
  bit(context) {
    const p = this.probability[context], rate = RATES[this.visits[context]];
    const bound = (this.extent >>> 16) * p;
    const one = this.offset >= bound;
    // Floors of products below 2^32, which float64 holds exactly.
    const moved = one ? p - Math.floor(p * rate / 65536)
      : p + Math.floor((65536 - p) * rate / 65536);
    this.probability[context] = Math.min(Math.max(moved, 32), 65504);
    if (this.visits[context] < MAX_VISITS) this.visits[context]++;
    if (one) {
      this.offset -= bound;
      this.extent -= bound;
    } else {
      this.extent = bound;
    }
    while (this.extent < 2 ** 24) {
      this.offset = this.offset * 256 + (this.data[this.next] ?? 0);
      this.next++;
      this.extent *= 256;
    }
    return one ? 1 : 0;
  }

  /** Refuses more bytes than an encoder writes. */
  finish() {
    const size = this.data.length;
    if ((size && this.data[size - 1] === 0) || size > this.next - 3) throw damage();
  }
}

/**
 * @param {Uint8Array} data the payload
 * @param {number} rows
 * @param {number} columns
 * @param {number} numLevels 1..256
 * @returns {Uint8Array} [rows * columns], level of each cell
 */
export function decodeImportance(data, rows, columns, numLevels) {
  const decoder = new BitDecoder(data), grid = new Uint8Array(rows * columns);
  if (numLevels > 1) decodeGrid(decoder, grid, rows, columns, numLevels);
  decoder.finish();
  return grid;
}

/**
 * @param {BitDecoder} decoder
 * @param {Uint8Array} grid zeros, is filled
 * @param {number} rows
 * @param {number} columns
 * @param {number} numLevels
 */
function decodeGrid(decoder, grid, rows, columns, numLevels) {
  const constant = decoder.bit(0);
  const first = decodeLevel(decoder, numLevels);
  if (constant) {
    grid.fill(first);
    return;
  }
  const before = new Uint8Array(columns).fill(first);  // stands for rows above the first
  let same = 0;
  for (let y = 0; y < rows; y++) {
    const row = grid.subarray(y * columns, (y + 1) * columns);
    const above = y ? grid.subarray((y - 1) * columns, y * columns) : before;
    const above2 = y > 1 ? grid.subarray((y - 2) * columns, (y - 1) * columns) : before;
    if (y) {
      same = decoder.bit(SAME_ROW + same);
    } else {
      row[0] = first;
    }
    if (same) {
      row.set(above);
    } else {
      decodeRow(decoder, row, above, above2, numLevels, y ? 0 : 1);
    }
  }
}

/** A level through a binary tree. @param {BitDecoder} decoder @param {number} numLevels */
function decodeLevel(decoder, numLevels) {
  const size = 1 << (32 - Math.clz32(numLevels - 1));
  let node = 1;
  while (node < size) node = 2 * node + decoder.bit(LEVEL + node);
  if (node - size >= numLevels) throw damage();
  return node - size;
}

/**
 * @param {BitDecoder} decoder
 * @param {Uint8Array} row is filled from column `begin` on
 * @param {Uint8Array} above the row above
 * @param {Uint8Array} above2 the row above that
 * @param {number} numLevels
 * @param {number} begin
 */
function decodeRow(decoder, row, above, above2, numLevels, begin) {
  const last = row.length - 1;
  for (let x = begin; x <= last; x++) {
    const north = above[x];
    const west = x ? row[x - 1] : north, northwest = x ? above[x - 1] : north;
    const northeast = x < last ? above[x + 1] : north;
    const westwest = x > 1 ? row[x - 2] : west;
    const smaller = Math.min(west, north), larger = Math.max(west, north);
    const p = northwest >= larger ? smaller : northwest <= smaller ? larger
      : west + north - northwest;
    const agreement = Number(west === p) | (Number(north === p) << 1)
      | (Number(northwest === p) << 2) | (Number(northeast === p) << 3)
      | (Number(westwest === p) << 4) | (Number(above2[x] === p) << 5);
    row[x] = decoder.bit(AS_PREDICTED + agreement)
      ? decodeOther(decoder, p, [northeast, west, north, northwest, westwest], numLevels) : p;
  }
}

/**
 * A level that differs from its prediction.
 * @param {BitDecoder} decoder
 * @param {number} p the prediction
 * @param {number[]} neighbours
 * @param {number} numLevels
 */
function decodeOther(decoder, p, neighbours, numLevels) {
  let above = p === 0;
  if (p > 0 && p < numLevels - 1) {
    const sides = Number(neighbours.some((n) => n > p)) + 2 * Number(neighbours.some((n) => n < p));
    above = decoder.bit(ABOVE + sides) === 1;
  }
  const candidate = neighbours.find((n) => (above ? n > p : n < p));
  if (candidate !== undefined) {
    const near = Number(Math.abs(candidate - p) === 1);
    if (decoder.bit(NEIGHBOUR + near)) return candidate;
  }
  let exponent = 0, distance = 1;
  while (exponent < MAX_EXPONENT && decoder.bit(EXPONENT + exponent)) exponent++;
  for (let i = exponent - 1; i >= 0; i--) distance = 2 * distance + decoder.bit(MANTISSA + i);
  const level = above ? p + distance : p - distance;
  if (level < 0 || level >= numLevels) throw damage();
  return level;
}
