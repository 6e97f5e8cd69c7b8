// The exported model: what model.json says of it, and its integers.

import { RdcError } from "../errors.js";
import { EntropyModel } from "../entropy/entropy_model.js";
import { readSafetensors } from "../entropy/safetensors.js";

/**
 * Reads a file of the exported folder, by its name relative to that folder.
 * @callback Read
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */

/**
 * @typedef {object} Model
 * @property {string} name for people
 * @property {string} modelId 16 hexadecimal digits
 * @property {number} numLevels of importance, at most
 * @property {number} downsampling image pixels per latent pixel along a side
 * @property {boolean} hasFusion whether there is a fusion module, so that tau matters
 * @property {Record<string, string[]>} graphs files of weights by the name of their graph
 * @property {EntropyModel} entropy
 */

export const FOLDER = "model/";

/** @param {Read} read @returns {Promise<Model>} */
export async function loadModel(read) {
  const [said, integers] = await Promise.all([
    read(`${FOLDER}model.json`), read(`${FOLDER}entropy.safetensors`)]);
  const { name, model_id, num_levels, downsampling, graphs } = parsed(said);
  const whole = integers.buffer.slice(integers.byteOffset, integers.byteOffset + integers.length);
  return {
    name, downsampling, graphs, modelId: model_id, numLevels: num_levels,
    hasFusion: "knob.onnx" in graphs,
    entropy: new EntropyModel(readSafetensors(/** @type {ArrayBuffer} */ (whole))),
  };
}

/** @param {Uint8Array} json */
function parsed(json) {
  try {
    return JSON.parse(new TextDecoder().decode(json));
  } catch {
    throw new RdcError("model.json is damaged: export the model again");
  }
}
