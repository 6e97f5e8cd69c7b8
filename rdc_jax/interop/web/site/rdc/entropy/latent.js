// From the streams of a latent, or of one tile, to its values: symbols in exact integers.
//
// Numbers beyond 2^53 are kept in two parts, see `residual` below.

import { conditionMap } from "./conditions.js";
import { writePhases } from "./dither.js";
import { decodeHyperLatent } from "./hyper_latent.js";
import { clip, maps } from "./layers.js";
import { SymbolDecoder } from "./symbol_decoder.js";
import { NUM_PHASES, NUM_SCALES, scaleIndex } from "./tables.js";

/** @typedef {import("./conditions.js").Conditions} Conditions */
/** @typedef {import("./entropy_model.js").EntropyModel} EntropyModel */
/** @typedef {import("./layers.js").Maps} Maps */

/**
 * @typedef {object} Latent float32 [h,w,C] each, in latent units
 * @property {number} h
 * @property {number} w
 * @property {number} c
 * @property {Float32Array} yhat the coded values
 * @property {Float32Array} mean predicted means
 * @property {Float32Array} scale predicted standard deviations
 */

/**
 * @param {EntropyModel} model
 * @param {Uint8Array} hyperData stream of the hyper-latent
 * @param {Uint8Array} latentData stream of the latent
 * @param {Conditions} conditions
 * @param {(symbols: Int32Array) => void} [onSymbols] is given the symbols of each pass
 * @returns {Latent}
 */
export function decodeLatent(model, hyperData, latentData, conditions, onSymbols = () => {}) {
  const hyper = new SymbolDecoder(model.bank, hyperData);
  const decoder = new SymbolDecoder(model.bank, latentData);
  /** @param {SymbolDecoder} from */
  const readFrom = (from) => (/** @type {Uint8Array} */ s, /** @type {Uint8Array} */ p) => {
    const symbols = from.decode(s, p);
    onSymbols(symbols);
    return symbols;
  };
  const { skippedScales } = model;
  const latent = decodePasses(model, conditions, readFrom(hyper), readFrom(decoder), skippedScales);
  hyper.finish();
  decoder.finish();
  return latent;
}

/**
 * The latent that the prior predicts without data, in place of a lost tile.
 * @param {EntropyModel} model
 * @param {Conditions} conditions
 */
export function missingLatent(model, conditions) {
  const zeros = (/** @type {Uint8Array} */ scales) => new Int32Array(scales.length);
  return decodePasses(model, conditions, zeros, zeros, NUM_SCALES);
}

/**
 * @param {EntropyModel} model
 * @param {Conditions} conditions
 * @param {(scales: Uint8Array, phases: Uint8Array) => Int32Array} readHyper
 * @param {(scales: Uint8Array, phases: Uint8Array) => Int32Array} readPass
 * @param {number} skippedScales elements with a scale index below it have no symbol
 * @returns {Latent}
 */
function decodePasses(model, conditions, readHyper, readPass, skippedScales) {
  const { network } = model, { height: h, width: w } = conditions, c = network.latentChannels;
  const condition = conditionMap(conditions);
  const z = decodeHyperLatent(network, condition, readHyper);
  const features = network.synthesis(z, condition, h, w);
  const known = maps(h, w, c), size = h * w * c;
  const latent = {
    h, w, c,
    yhat: new Float32Array(size), mean: new Float32Array(size), scale: new Float32Array(size),
  };
  network.passes(h, w).forEach((places, number) => {
    if (!places.length) return;
    const parameters = network.passParameters(number, features, (at, layer) => {
      const around = model.continuedContext ? continued(known) : known;
      return layer.at(around, around === known ? at : moved(at, w, around.w));
    }, places);
    const elements = tablesOf(model, conditions, places, parameters.log2Scale, skippedScales);
    const symbols = readPass(elements.scales, elements.phases);
    writeValues(model, conditions, places, parameters, elements, symbols, latent, known);
  });
  return latent;
}

/**
 * Scale indexes and phases of the elements of a pass that have a symbol.
 * @param {EntropyModel} model
 * @param {Conditions} conditions
 * @param {Int32Array} places
 * @param {Float64Array} log2Scale [P,C]
 * @param {number} skippedScales
 */
function tablesOf(model, conditions, places, log2Scale, skippedScales) {
  const c = model.network.latentChannels, count = places.length * c;
  const all = new Uint8Array(count).fill(NUM_PHASES / 2 - 1);  // the phase without dither
  const scales = new Uint8Array(count), phases = new Uint8Array(count);
  const isSent = new Uint8Array(count), log2Ratio = new Float64Array(count);
  let sent = 0;
  for (let p = 0; p < places.length; p++) {
    const y = Math.floor(places[p] / conditions.width), x = places[p] % conditions.width;
    const timestep = timestepAt(conditions, y, x);
    if (model.dither) {
      const row = conditions.row0 + y, column = conditions.col0 + x;
      writePhases(all, p * c, c, conditions.ditherSeed, row, column);
    }
    for (let i = p * c; i < (p + 1) * c; i++) {
      log2Ratio[i] = log2Scale[i] - model.log2Step(timestep, i - p * c);
      const scale = scaleIndex(log2Ratio[i]);
      if (scale < skippedScales) continue;
      isSent[i] = 1;
      scales[sent] = scale;
      phases[sent++] = all[i];
    }
  }
  return {
    scales: scales.subarray(0, sent), phases: phases.subarray(0, sent), all, isSent, log2Ratio,
  };
}

/**
 * Values of a pass, and what later passes see of them.
 * @param {EntropyModel} model
 * @param {Conditions} conditions
 * @param {Int32Array} places
 * @param {{mean: Float64Array, log2Scale: Float64Array}} parameters
 * @param {ReturnType<typeof tablesOf>} elements
 * @param {Int32Array} symbols of the elements that have one
 * @param {Latent} latent is written
 * @param {Maps} known is written
 */
function writeValues(model, conditions, places, parameters, elements, symbols, latent, known) {
  const c = latent.c, unit = model.latentUnit;
  let next = 0;
  for (let p = 0; p < places.length; p++) {
    const y = Math.floor(places[p] / conditions.width), x = places[p] % conditions.width;
    const timestep = timestepAt(conditions, y, x);
    for (let channel = 0; channel < c; channel++) {
      const i = p * c + channel, to = places[p] * c + channel, mean = parameters.mean[i];
      const isSent = elements.isSent[i] === 1, symbol = isSent ? symbols[next++] : 0;
      const shift = model.dither ? 2 * elements.all[i] - 31 : 0;
      const [high, low] = residual(model.step(timestep, channel), 64 * symbol + shift);
      // One rounding, as of the 64-bit integer (mean << 16) + residual.
      latent.yhat[to] = ((high + mean) * 65536 + low) * (unit / 2 ** 26);
      latent.mean[to] = mean * (unit / 1024);
      const ratio = Math.min(Math.max(elements.log2Ratio[i] / 1024, -7), -7 + NUM_SCALES / 6);
      latent.scale[to] = 2 ** (ratio + model.log2Step(timestep, channel) / 1024);
      const seen = isSent
        ? mean + shrunk(high, low, wienerWeight(model.shrink, elements.log2Ratio[i])) : mean;
      known.data[to] = clip(seen);
    }
  }
}

/** @param {Conditions} conditions @param {number} y @param {number} x */
const timestepAt = (conditions, y, x) =>
  conditions.timesteps[conditions.levels[y * conditions.levelColumns + x]];

/**
 * step * n = 2^16 high + low, with 0 <= low < 2^16.
 * @param {number} step 1..2^31 - 1
 * @param {number} n |n| < 2^26
 * @returns {[number, number]}
 */
function residual(step, n) {
  const lower = (step % 65536) * n, carry = Math.floor(lower / 65536);
  return [Math.floor(step / 65536) * n + carry, lower - carry * 65536];
}

/**
 * ((R >> 12) weight + 2^19) >> 20 of R = 2^16 high + low.
 * @param {number} high
 * @param {number} low
 * @param {number} weight 0..2^16
 */
function shrunk(high, low, weight) {
  const shifted = 16 * high + Math.floor(low / 4096);  // below 2^46
  const upper = Math.floor(shifted / 2 ** 20), lower = shifted - upper * 2 ** 20;
  return upper * weight + Math.floor((lower * weight + 2 ** 19) / 2 ** 20);
}

/**
 * The Wiener weight, linear between scale indexes.
 * @param {ArrayLike<number>} shrink
 * @param {number} log2Ratio
 */
function wienerWeight(shrink, log2Ratio) {
  const p = Math.min(Math.max(6 * (log2Ratio + 7 * 1024), 0), (NUM_SCALES - 1) * 1024);
  const i = Math.min(Math.floor(p / 1024), NUM_SCALES - 2);
  return shrink[i] + Math.floor(((shrink[i + 1] - shrink[i]) * (p - 1024 * i) + 512) / 1024);
}

/**
 * The context with a row and a column more where a side is no multiple of 4: copies of the last
 * but one.
 * @param {Maps} known
 * @returns {Maps}
 */
function continued(known) {
  const { h, w, c } = known, h2 = h % 4 && h > 1 ? h + 1 : h, w2 = w % 4 && w > 1 ? w + 1 : w;
  if (h2 === h && w2 === w) return known;
  const more = maps(h2, w2, c);
  for (let y = 0; y < h2; y++) {
    const from = (y < h ? y : h - 2) * w;
    for (let x = 0; x < w2; x++) {
      const at = (from + (x < w ? x : w - 2)) * c;
      more.data.set(known.data.subarray(at, at + c), (y * w2 + x) * c);
    }
  }
  return more;
}

/**
 * Places in rows of another width.
 * @param {Int32Array} places
 * @param {number} w
 * @param {number} w2
 */
const moved = (places, w, w2) => places.map((place) => Math.floor(place / w) * w2 + place % w);
