// How the networks make an image of a latent: tau, importance levels, timesteps, starting noise.

import { writePhases } from "../entropy/dither.js";
import { RdcError } from "../errors.js";

/** @typedef {import("../entropy/conditions.js").Conditions} Conditions */
/** @typedef {import("../bitstream/header.js").Header} Header */
/** @typedef {import("../bitstream/tile_index.js").Window} Window */

/** @typedef {number | "roi" | null} Tau 0 faithful .. 1 realistic; "roi": faithful where important;
 *    null: as the file suggests */

const TAU_UNITS = 255;
const NOISE_SEED = 0x9e3779b9;
const NOISE = Float32Array.from({ length: 32 }, (_, j) => Math.sqrt(12) * ((2 * j - 31) / 64));

/**
 * @typedef {object} Sampling
 * @property {Uint8Array} levels [h,w], importance level of each latent pixel
 * @property {Float32Array} tau [h,w]
 * @property {Float32Array} timesteps [L], of the model's L levels
 * @property {number} noiseSeed
 */

/** @param {Tau | undefined} tau */
export function checkTau(tau) {
  if (tau === null || tau === undefined || tau === "roi") return;
  if (typeof tau !== "number") {
    throw new RdcError(`tau ${JSON.stringify(tau)} is not a number or "roi"`);
  }
  if (!(tau >= 0 && tau <= 1)) {
    throw new RdcError(`tau ${tau} must be between 0 (faithful) and 1 (realistic)`);
  }
}

/**
 * @param {Header} header
 * @param {Conditions} conditions
 * @param {number} numLevels of the model; a file may have fewer
 * @param {Tau | undefined} asked
 * @returns {Sampling}
 */
export function samplingOf(header, conditions, numLevels, asked) {
  checkTau(asked);
  const { height: h, width: w, levelColumns, timesteps: known } = conditions;
  const levels = new Uint8Array(h * w), tau = new Float32Array(h * w);
  for (let y = 0; y < h; y++) {
    levels.set(conditions.levels.subarray(y * levelColumns, y * levelColumns + w), y * w);
  }
  if (asked === "roi") {
    const top = Math.max(1, header.numLevels - 1);
    levels.forEach((level, i) => { tau[i] = 1 - Math.fround(level / top); });
  } else {
    tau.fill(asked ?? header.defaultTau / TAU_UNITS);
  }
  const timesteps = new Float32Array(numLevels).fill(known[known.length - 1]);
  timesteps.set(known);
  return { levels, tau, timesteps, noiseSeed: (header.ditherSeed + NOISE_SEED) % 2 ** 32 };
}

/**
 * The noise from which a fusion module starts: uniform, of unit variance, by position only.
 * @param {number} seed
 * @param {Window} window of the latent
 * @param {number} c channels
 */
export function startingNoise(seed, { top, bottom, left, right }, c) {
  const phases = new Uint8Array((bottom - top) * (right - left) * c);
  let at = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++, at += c) writePhases(phases, at, c, seed, y, x);
  }
  return Float32Array.from(phases, (phase) => NOISE[phase]);
}
