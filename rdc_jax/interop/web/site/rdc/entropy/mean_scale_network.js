// The network of the mean-scale hyperprior in integers: one pass, no context, no condition.
// docs/bitstream.md, "Mean-scale network".

import { RdcError } from "../errors.js";
import { ACTIVATION_LIMIT, Layer, clip, maps } from "./layers.js";
import { cropped, depthToSpace } from "./map_operations.js";

/** @typedef {import("./layers.js").Maps} Maps */

const MAX_SCALE = 2 ** 40;
const MANTISSA_BITS = 30;

export class MeanScaleNetwork {
  #up;
  #last;
  #vectors;

  /**
   * @param {(name: string) => Layer | null} layer
   * @param {import("./safetensors.js").Arrays} arrays
   */
  constructor(layer, arrays) {
    this.#up = ["h_s_0", "h_s_2"].map((name) => upLayer(name, arrays));
    this.#last = /** @type {Layer} */ (layer("h_s_4"));
    this.#vectors = (/** @type {string} */ name) => vector(name, arrays);
    this.latentChannels = this.#last.outputs / 2;
    this.hyperChannels = this.#vectors("z_mean").length;
  }

  /** All pixels in one pass. @param {number} h @param {number} w */
  passes(h, w) {
    return [Int32Array.from({ length: h * w }, (_, i) => i)];
  }

  /** All cells in one pass. @param {number} h @param {number} w */
  hyperPasses(h, w) {
    return this.passes(h, w);
  }

  /** Mean and log2 scale of each cell, the same everywhere. @param {Maps} condition */
  hyperPrior(condition) {
    const cz = this.hyperChannels, h = condition.h / 4, w = condition.w / 4;
    const [mean, log2Scale] = ["z_mean", "z_log2_scale"].map((name) => {
      const map = maps(h, w, cz), values = this.#vectors(name);
      for (let i = 0; i < map.data.length; i++) map.data[i] = values[i % cz];
      return map;
    });
    return { mean, log2Scale };
  }

  /** There is no learnt step. @returns {Maps | null} */
  hyperLog2Step() {
    return null;
  }

  /** @returns {never} */
  hyperPassParameters() {
    throw new Error("the hyper-latent has one pass");
  }

  /**
   * The exact sums [h,w,2C] of the last layer, before its shift.
   * @param {Maps} z at 10 fractional bits
   * @param {Maps} _condition
   * @param {number} h
   * @param {number} w
   * @returns {Maps}
   */
  synthesis(z, _condition, h, w) {
    const median = this.#vectors("z_median"), cz = z.c;
    /** @type {Maps} */
    let x = { ...z, data: z.data.map((k, i) => clip(k + median[i % cz])) };
    for (const layer of this.#up) x = depthToSpace(leaky(layer.on(x)));
    const sums = this.#last.sums(x);
    return cropped({ h: x.h, w: x.w, c: this.#last.outputs, data: sums }, h, w);
  }

  /**
   * Mean and log2 scale of all pixels, [P,C] each.
   * @param {number} _number
   * @param {Maps} features the sums of `synthesis`
   */
  passParameters(_number, features) {
    const c = this.latentChannels, b = this.#last.shift, half = 2 ** (b - 1);
    const bound = this.#vectors("scale_bound")[0], unit = this.#vectors("scale_log2_unit")[0];
    const thresholds = this.#vectors("log2_thresholds");
    const mean = new Float64Array(features.h * features.w * c);
    const log2Scale = new Float64Array(mean.length);
    for (let i = 0; i < mean.length; i++) {
      const from = Math.floor(i / c) * 2 * c + i % c;
      mean[i] = clip(Math.floor((features.data[from + c] + half) / 2 ** b));
      const scale = Math.min(Math.max(withSixMoreBits(features.data[from], b), bound), MAX_SCALE);
      log2Scale[i] = integerLog2(scale, thresholds) + unit;
    }
    return { mean, log2Scale };
  }
}

/**
 * (64 sum + 2^(b - 1)) >> b without numbers of 2^53 or more.
 * @param {number} sum an integer below 2^53
 * @param {number} b 1..20
 */
function withSixMoreBits(sum, b) {
  if (b <= 6) return sum * 2 ** (6 - b);
  return Math.floor((sum + 2 ** (b - 7)) / 2 ** (b - 6));
}

/**
 * log2 at 10 fractional bits of 1..2^40.
 * @param {number} value
 * @param {ArrayLike<number>} thresholds
 */
export function integerLog2(value, thresholds) {
  const high = Math.floor(value / 2 ** 32);
  const exponent = high ? 63 - Math.clz32(high) : 31 - Math.clz32(value);
  const mantissa = Math.floor(value * 2 ** (MANTISSA_BITS - exponent));
  let begin = 0, end = thresholds.length;  // the first threshold above the mantissa
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if (thresholds[middle] <= mantissa) begin = middle + 1;
    else end = middle;
  }
  return 1024 * exponent + begin;
}

/** A leaky ReLU, in place. @param {Maps} x */
function leaky(x) {
  for (let i = 0; i < x.data.length; i++) {
    const a = x.data[i];
    if (a < 0) x.data[i] = Math.floor((41 * a + 2048) / 4096);
  }
  return x;
}

/**
 * @param {string} name
 * @param {import("./safetensors.js").Arrays} arrays
 * @returns {ArrayLike<number>}
 */
function vector(name, arrays) {
  const array = arrays.get(`network/${name}`);
  const small = name === "log2_thresholds" ? Infinity : ACTIVATION_LIMIT;
  if (!array || Array.from(array.data).some((value) => Math.abs(value) > small)) {
    throw new RdcError(`the integer network of these weights is damaged: check '${name}'`);
  }
  return array.data;
}

/**
 * A transposed 5x5 convolution of stride 2 as a 3x3 layer with four times the outputs, which
 * depth-to-space puts in place. Phase p of output 2 u + p has tap p + 2 - 2 d at input u + d.
 * @param {string} name
 * @param {import("./safetensors.js").Arrays} arrays
 */
function upLayer(name, arrays) {
  const [weight, bias, shift] = ["weight", "bias", "shift"].map((part) => {
    const array = arrays.get(`network/${name}.${part}`);
    if (array) return array;
    throw new RdcError(`the integer network of these weights is damaged: check '${name}'`);
  });
  const [k, , inputs, outputs] = weight.shape;
  if (k !== 5 || weight.shape.length !== 4) {
    throw new RdcError(`the integer network of these weights is damaged: check '${name}'`);
  }
  const phases = new Float64Array(9 * inputs * 4 * outputs);
  let at = 0;
  for (let tap = 0; tap < 9; tap++) {
    const dy = Math.floor(tap / 3) - 1, dx = tap % 3 - 1;
    for (let c = 0; c < inputs; c++) {
      for (let phase = 0; phase < 4; phase++) {
        const y = (phase >> 1) + 2 - 2 * dy, x = (phase & 1) + 2 - 2 * dx;
        for (let o = 0; o < outputs; o++) {
          const inside = y < 5 && x < 5;
          phases[at++] = inside ? weight.data[((y * 5 + x) * inputs + c) * outputs + o] : 0;
        }
      }
    }
  }
  const biases = Float64Array.from({ length: 4 * outputs }, (_, o) => bias.data[o % outputs]);
  return new Layer(name, [3, 3, inputs, 4 * outputs], phases, biases, shift.data[0]);
}
