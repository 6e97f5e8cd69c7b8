// The integer network that predicts mean and scale of each element, with spatial context.
// docs/bitstream.md, "Integer network". All numbers have 10 fractional bits.

import { ACTIVATION_LIMIT, clip, maps } from "./layers.js";
import {
  areaPool, checkerboardPasses, cropped, depthToSpace, joined, pixelsAt,
} from "./map_operations.js";

/** @typedef {import("./layers.js").Layer} Layer */
/** @typedef {import("./layers.js").Maps} Maps */

/** z, or a difference of values of z, as activations. @param {number} z */
const hyperActivation = (z) => clip(Math.floor((z + 2) / 4));

export class ContextNetwork {
  #layers;

  /** @param {(name: string) => Layer | null} layer by name; null if the model has none such */
  constructor(layer) {
    this.#layers = layer;
    this.latentChannels = this.#layer("pass0_1").outputs / 2;
    this.hyperChannels = this.#layer("hyper_prior").outputs / 2;
  }

  /** @param {string} name @returns {Layer} */
  #layer(name) {
    return /** @type {Layer} */ (this.#layers(name));
  }

  /** The pixels that each pass codes. @param {number} h @param {number} w */
  passes(h, w) {
    return checkerboardPasses(h, w);
  }

  /** The cells of the hyper-latent that each pass codes. @param {number} h @param {number} w */
  hyperPasses(h, w) {
    if (this.#layers("hyper1_context")) return checkerboardPasses(h, w);
    return [Int32Array.from({ length: h * w }, (_, i) => i)];
  }

  /**
   * Mean and log2 scale of each cell of the hyper-latent, [h/4,w/4,Cz].
   * @param {Maps} condition [h,w,16]
   */
  hyperPrior(condition) {
    const x = this.#layer("hyper_prior").on(areaPool(condition, 4)), cz = this.hyperChannels;
    const mean = maps(x.h, x.w, cz), log2Scale = maps(x.h, x.w, cz);
    for (let i = 0; i < mean.data.length; i++) {
      const from = Math.floor(i / cz) * 2 * cz + i % cz;
      mean.data[i] = 4 * x.data[from];
      log2Scale.data[i] = x.data[from + cz];
    }
    return { mean, log2Scale };
  }

  /**
   * log2 of the learnt step of each cell, or null.
   * @param {Maps} condition
   * @returns {Maps | null}
   */
  hyperLog2Step(condition) {
    const layer = this.#layers("hyper_log2_step");
    if (!layer) return null;
    const x = layer.on(areaPool(condition, 4));
    for (let i = 0; i < x.data.length; i++) x.data[i] = Math.min(Math.max(x.data[i], -3072), 6144);
    return x;
  }

  /**
   * Mean and log2 scale of the P cells of the hyper-latent that pass 1 or 2 codes.
   * @param {number} number 1 or 2
   * @param {{mean: Maps, log2Scale: Maps}} prior of `hyperPrior`
   * @param {Maps} known values of earlier passes minus the prior's mean, 0 elsewhere
   * @param {Maps} condition [h,w,16]
   * @param {Int32Array} places the cells
   */
  hyperPassParameters(number, prior, known, condition, places) {
    const around = { ...known, data: known.data.map(hyperActivation) };
    const x = this.#layer(`hyper${number}_context`).at(around, places);
    add(x, this.#layer(`hyper${number}_0`).onPixels(pixelsAt(areaPool(condition, 4), places)), 0);
    const more = this.#layer(`hyper${number}_1`).onPixels(x), cz = this.hyperChannels;
    const mean = pixelsAt(prior.mean, places), log2Scale = pixelsAt(prior.log2Scale, places);
    for (let i = 0; i < mean.length; i++) {
      const from = Math.floor(i / cz) * 2 * cz + i % cz;
      mean[i] = 4 * clip(mean[i] / 4 + more[from]);
      log2Scale[i] = clip(log2Scale[i] + more[from + cz]);
    }
    return { mean, log2Scale };
  }

  /**
   * The features [h,w,width + 16].
   * @param {Maps} z [h4/4,w4/4,Cz]
   * @param {Maps} condition [h4,w4,16]
   * @param {number} h
   * @param {number} w
   */
  synthesis(z, condition, h, w) {
    const around = { ...z, data: z.data.map(hyperActivation) };
    let x = this.#layer("synthesis_0").on(joined(around, areaPool(condition, 4)), 0);
    x = depthToSpace(this.#layer("synthesis_1").on(x, 0));
    x = this.#layer("synthesis_2").on(joined(x, areaPool(condition, 2)), 0);
    x = depthToSpace(this.#layer("synthesis_3").on(x, 0));
    return cropped(joined(x, condition), h, w);
  }

  /**
   * Mean and log2 scale of the P pixels that a pass codes, [P,C] each.
   * @param {number} number of the pass
   * @param {Maps} features [h,w,width + 16]
   * @param {(places: Int32Array, layer: Layer) => Float64Array} context applies a layer to the
   *   values of earlier passes
   * @param {Int32Array} places the pixels
   */
  passParameters(number, features, context, places) {
    let x = this.#layer(`pass${number}_0`).onPixels(
      pixelsAt(features, places), number ? -ACTIVATION_LIMIT : 0);
    if (number) {
      add(x, context(places, this.#layer(`pass${number}_context`)), 0);
      x = this.#layer(`pass${number}_1`).onPixels(x, 0);
    }
    x = this.#layer(number ? `pass${number}_2` : "pass0_1").onPixels(x);
    const c = this.latentChannels, mean = new Float64Array(places.length * c);
    const log2Scale = new Float64Array(mean.length);
    for (let i = 0; i < mean.length; i++) {
      const from = Math.floor(i / c) * 2 * c + i % c;
      mean[i] = x[from];
      log2Scale[i] = x[from + c];
    }
    return { mean, log2Scale };
  }
}

/**
 * Adds y to x and clips, from `least` on.
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {number} least
 */
function add(x, y, least) {
  for (let i = 0; i < x.length; i++) {
    x[i] = Math.min(Math.max(x[i] + y[i], least), ACTIVATION_LIMIT);
  }
}
