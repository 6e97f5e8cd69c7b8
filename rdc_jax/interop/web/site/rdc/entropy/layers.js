// Convolutions in exact fixed-point arithmetic.
//
// Activations and weights are integers in float64. No sum can reach 2^53 (checked when a layer is
// made), so every partial sum is exact in any order.

import { RdcError } from "../errors.js";

export const ACTIVATION_LIMIT = 2 ** 22;
const MAX_SHIFT = 20;
const ROWS = 64;  // pixels whose patches are multiplied at once

/** @typedef {{h: number, w: number, c: number, data: Float64Array}} Maps [h,w,c], C order */

/** @param {number} h @param {number} w @param {number} c @returns {Maps} */
export const maps = (h, w, c) => ({ h, w, c, data: new Float64Array(h * w * c) });

/** @param {number} a */
export const clip = (a) => Math.min(Math.max(a, -ACTIVATION_LIMIT), ACTIVATION_LIMIT);

export class Layer {
  /**
   * @param {string} name for messages
   * @param {number[]} shape [k,k,inputs,outputs] of the weights
   * @param {ArrayLike<number>} weight
   * @param {ArrayLike<number>} bias [outputs]
   * @param {number} shift the weights have this many fractional bits
   */
  constructor(name, shape, weight, bias, shift) {
    const [k, k2, inputs, outputs] = shape;
    const fits = shape.length === 4 && k === k2 && (k === 1 || k === 3) && bias.length === outputs;
    if (!fits || shift < 1 || shift > MAX_SHIFT) {
      throw new RdcError(`the integer network of these weights is damaged: check '${name}'`);
    }
    this.k = k;
    this.inputs = inputs;
    this.outputs = outputs;
    this.shift = shift;
    this.size = k * k * inputs;
    this.bias = Float64Array.from(bias);
    // The weights of one output lie together. A row of zeros makes the number of outputs even.
    this.weight = new Float64Array((outputs + (outputs % 2)) * this.size);
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < this.size; i++) {
        this.weight[o * this.size + i] = weight[i * outputs + o];
        sum += Math.abs(weight[i * outputs + o]);
      }
      if (sum * ACTIVATION_LIMIT + Math.abs(bias[o]) + 2 ** MAX_SHIFT >= 2 ** 53) {
        throw new RdcError(`layer '${name}' of these weights could overflow exact arithmetic`);
      }
    }
  }

  /**
   * Exact sums with bias at some pixels, before the shift. Zeros surround the map.
   * @param {Maps} x
   * @param {Int32Array | null} places y * w + x of the P pixels, null for all
   * @returns {Float64Array} [P, outputs]
   */
  sums(x, places = null) {
    const count = places ? places.length : x.h * x.w, { outputs, size } = this;
    const result = new Float64Array(count * outputs);
    const padded = this.k === 1 ? x : withBorder(x);
    const patches = new Float64Array(ROWS * size), width = outputs + (outputs % 2);
    const products = new Float64Array(ROWS * width);
    for (let begin = 0; begin < count; begin += ROWS) {
      const rows = Math.min(ROWS, count - begin);
      for (let r = 0; r < rows; r++) {
        const place = places ? places[begin + r] : begin + r;
        this.#gather(padded, Math.floor(place / x.w), place % x.w, patches, r * size);
      }
      multiply(patches, this.weight, products, rows, size, width);
      for (let r = 0; r < rows; r++) {
        for (let o = 0; o < outputs; o++) {
          result[(begin + r) * outputs + o] = products[r * width + o] + this.bias[o];
        }
      }
    }
    return result;
  }

  /**
   * @param {Maps} x
   * @param {number} row
   * @param {number} column
   * @param {Float64Array} to
   * @param {number} at
   */
  #gather(x, row, column, to, at) {
    const length = this.k * this.inputs, data = x.data;
    for (let i = 0; i < this.k; i++) {
      const from = ((row + i) * x.w + column) * this.inputs;
      for (let j = 0; j < length; j++) to[at++] = data[from + j];
    }
  }

  /**
   * Activations of sums, in place: shifted with rounding, then clipped.
   * @param {Float64Array} sums
   * @param {number} least smallest activation; 0 makes a ReLU
   */
  shifted(sums, least = -ACTIVATION_LIMIT) {
    const half = 2 ** (this.shift - 1), unit = 2 ** -this.shift;
    for (let i = 0; i < sums.length; i++) {
      const a = Math.floor((sums[i] + half) * unit);
      sums[i] = a < least ? least : a > ACTIVATION_LIMIT ? ACTIVATION_LIMIT : a;
    }
    return sums;
  }

  /** The layer at some pixels, [P, outputs]. @param {Maps} x @param {Int32Array} places */
  at(x, places, least = -ACTIVATION_LIMIT) {
    return this.shifted(this.sums(x, places), least);
  }

  /** The layer on a whole map. @param {Maps} x @param {number} least @returns {Maps} */
  on(x, least = -ACTIVATION_LIMIT) {
    return { h: x.h, w: x.w, c: this.outputs, data: this.shifted(this.sums(x), least) };
  }

  /** The layer of kernel size 1 on pixels [P, inputs]. @param {Float64Array} pixels */
  onPixels(pixels, least = -ACTIVATION_LIMIT) {
    const x = { h: 1, w: pixels.length / this.inputs, c: this.inputs, data: pixels };
    return this.shifted(this.sums(x), least);
  }
}

/**
 * products[r, o] = sum of patches[r, i] * weight[o, i]: four rows and two outputs at a time.
 * @param {Float64Array} patches rows beyond `rows` up to a multiple of four are garbage
 * @param {Float64Array} weight [width, size]
 * @param {Float64Array} products [.., width]
 * @param {number} rows
 * @param {number} size
 * @param {number} width even
 */
function multiply(patches, weight, products, rows, size, width) {
  for (let r = 0; r < rows; r += 4) {
    const p0 = r * size, p1 = p0 + size, p2 = p1 + size, p3 = p2 + size;
    for (let o = 0; o < width; o += 2) {
      const w0 = o * size, w1 = w0 + size;
      let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
      for (let i = 0; i < size; i++) {
        const a = weight[w0 + i], b = weight[w1 + i];
        const x0 = patches[p0 + i], x1 = patches[p1 + i];
        const x2 = patches[p2 + i], x3 = patches[p3 + i];
        s00 += x0 * a; s01 += x0 * b;
        s10 += x1 * a; s11 += x1 * b;
        s20 += x2 * a; s21 += x2 * b;
        s30 += x3 * a; s31 += x3 * b;
      }
      const q = r * width + o;
      products[q] = s00; products[q + 1] = s01;
      products[q + width] = s10; products[q + width + 1] = s11;
      products[q + 2 * width] = s20; products[q + 2 * width + 1] = s21;
      products[q + 3 * width] = s30; products[q + 3 * width + 1] = s31;
    }
  }
}

/** The map with a border of one pixel of zeros. @param {Maps} x */
function withBorder(x) {
  const bordered = maps(x.h + 2, x.w + 2, x.c);
  for (let y = 0; y < x.h; y++) {
    const row = x.data.subarray(y * x.w * x.c, (y + 1) * x.w * x.c);
    bordered.data.set(row, ((y + 1) * bordered.w + 1) * x.c);
  }
  return bordered;
}
