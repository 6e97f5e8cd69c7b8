// Decoding of the hyper-latent: its lattice, its passes, and the table of each symbol.

import { RdcError } from "../errors.js";
import { maps } from "./layers.js";
import { scaleIndex } from "./tables.js";

/** @typedef {import("./layers.js").Maps} Maps */

const MAX_STEPS = 2 ** 13;  // a value lies fewer steps from the centre of its lattice

/**
 * @param {import("./entropy_model.js").Network} network
 * @param {Maps} condition [h,w,16]
 * @param {(scales: Uint8Array, phases: Uint8Array) => Int32Array} readPass gives a pass's symbols
 * @returns {Maps} z, [h/4,w/4,Cz] with 10 fractional bits
 */
export function decodeHyperLatent(network, condition, readPass) {
  const prior = network.hyperPrior(condition), log2Steps = network.hyperLog2Step(condition);
  const { h, w, c } = prior.mean, z = maps(h, w, c), known = maps(h, w, c);
  network.hyperPasses(h, w).forEach((places, number) => {
    if (!places.length) return;
    const parameters = number
      ? network.hyperPassParameters(number, prior, known, condition, places) : null;
    const count = places.length * c;
    const scales = new Uint8Array(count), phases = new Uint8Array(count);
    const centres = new Float64Array(count), steps = new Float64Array(count);
    const shifts = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const at = places[Math.floor(i / c)] * c + i % c;
      const mean = parameters ? parameters.mean[i] : prior.mean.data[at];
      const log2Scale = parameters ? parameters.log2Scale[i] : prior.log2Scale.data[at];
      const log2Step = log2Steps ? log2Steps.data[at] : 0;
      steps[i] = stepOf(log2Step);
      centres[i] = log2Steps ? Math.floor((mean + 512) / 1024) : 0;
      const inSteps = Math.floor((mean - 1024 * centres[i]) * 1024 / steps[i]);
      const q = Math.floor(-32 * inSteps / 1024) + 16;
      shifts[i] = Math.floor(q / 32);
      phases[i] = q - 32 * shifts[i];
      scales[i] = scaleIndex(log2Scale - log2Step);
    }
    const symbols = readPass(scales, phases);
    for (let i = 0; i < count; i++) {
      const e = symbols[i] - shifts[i], at = places[Math.floor(i / c)] * c + i % c;
      if (Math.abs(e) >= MAX_STEPS) {
        throw new RdcError("section hyper-latent is damaged: a value is out of range");
      }
      z.data[at] = 1024 * centres[i] + e * steps[i];
      known.data[at] = z.data[at] - prior.mean.data[at];
    }
  });
  return z;
}

/** The step for its log2, both with 10 fractional bits. @param {number} log2 in -3072..6144 */
function stepOf(log2) {
  const octave = Math.floor(log2 / 1024);
  return Math.floor((1024 + log2 - 1024 * octave) * 2 ** (3 + octave) / 8);
}
