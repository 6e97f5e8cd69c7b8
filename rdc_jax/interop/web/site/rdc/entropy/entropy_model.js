// All integers that decide a symbol: tables, network, and the schedule of quantiser steps.

import { RdcError } from "../errors.js";
import { ContextNetwork } from "./context_network.js";
import { Layer } from "./layers.js";
import { MeanScaleNetwork } from "./mean_scale_network.js";
import { TableBank } from "./tables.js";

/** @typedef {ContextNetwork | MeanScaleNetwork} Network */

const TIMESTEPS = 1001;

/** @param {string} name */
const damage = (name) =>
  new RdcError(`the entropy model of these weights is damaged: check '${name}'`);

export class EntropyModel {
  #step;
  #log2Step;
  #width;  // of the schedule: a step for each channel, or one for all

  /** @param {import("./safetensors.js").Arrays} arrays of entropy.safetensors */
  constructor(arrays) {
    const schedule = (/** @type {string} */ name) => {
      const array = arrays.get(`schedule/${name}`);
      if (!array) throw damage(name);
      return array;
    };
    const optional = (/** @type {string} */ name, /** @type {number} */ absent) =>
      arrays.get(`schedule/${name}`)?.data[0] ?? absent;
    this.bank = new TableBank(arrays);
    this.network = networkOf(arrays);
    this.latentUnit = schedule("latent_unit").data[0];
    this.shrink = Int32Array.from(schedule("shrink").data);
    this.dither = optional("dither", 1) !== 0;
    /** Elements with a scale index below it have no symbol. */
    this.skippedScales = optional("silent_scales", 0);
    this.continuedContext = optional("continued_context", 0) === 1;
    this.#step = schedule("step_fixed").data;
    this.#log2Step = schedule("log2_step_fixed").data;
    this.#width = schedule("step_fixed").shape[1];
    const sizes = [this.#step.length, this.#log2Step.length];
    const fits = this.#width === 1 || this.#width === this.network.latentChannels;
    if (!fits || sizes.some((size) => size !== TIMESTEPS * this.#width)) throw damage("step_fixed");
  }

  /**
   * The quantiser step in units of latentUnit, 20 fractional bits.
   * @param {number} t
   * @param {number} channel
   */
  step(t, channel) {
    return this.#step[this.#width === 1 ? t : t * this.#width + channel];
  }

  /** log2 of the quantiser step, 10 fractional bits. @param {number} t @param {number} channel */
  log2Step(t, channel) {
    return this.#log2Step[this.#width === 1 ? t : t * this.#width + channel];
  }
}

/** @param {import("./safetensors.js").Arrays} arrays @returns {Network} */
function networkOf(arrays) {
  /** @type {Map<string, Layer>} */
  const made = new Map();
  const layer = (/** @type {string} */ name) => {
    const weight = arrays.get(`network/${name}.weight`);
    if (!weight) return null;
    const [bias, shift] = [arrays.get(`network/${name}.bias`), arrays.get(`network/${name}.shift`)];
    if (!bias || !shift) throw damage(name);
    const known = made.get(name);
    const found = known ?? new Layer(name, weight.shape, weight.data, bias.data, shift.data[0]);
    made.set(name, found);
    return found;
  };
  return arrays.has("network/h_a_0.weight")
    ? new MeanScaleNetwork(layer, arrays) : new ContextNetwork(layer);
}
