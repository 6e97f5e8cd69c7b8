// Decodes in a worker, so that the page stays alive. `client.js` is the other side.
//
//     in    {id, file, options}, {cancel: id}
//     out   {id, progress}, {id, rows}, {id, image}, {id, error}

import { BackendChoice, Backends } from "./decoding/backends.js";
import { decodeFile } from "./decoding/decoder.js";
import { loadModel } from "./decoding/model.js";
import { windowFunction } from "./decoding/networks.js";
import { Runtime, WASM, WEBGPU } from "./decoding/runtime.js";
import { RdcError } from "./errors.js";
import { ROOT, inFolder, readFolder } from "./folder.js";

/** @type {Promise<{model: import("./decoding/model.js").Model, backends: Backends}> | null} */
let loaded = null;

function load() {
  loaded ??= loadModel(readFolder).then((model) => {
    const importModule = (/** @type {string} */ name) => import(new URL(name, ROOT).href);
    const [wasm, webgpu] = [WASM, WEBGPU].map(
      (files) => new Runtime(model, readFolder, importModule, files));
    // @ts-ignore TypeScript 5 does not know WebGPU
    const gpu = navigator.gpu;
    return { model, backends: new Backends(wasm, webgpu, () => inFolder(WEBGPU.module), gpu) };
  });
  loaded.catch(() => { loaded = null; });  // the next file may try again
  return loaded;
}

/** Requests that nobody waits for any more. @type {Set<number>} */
const cancelled = new Set();

/** Lets messages arrive. */
const pause = () => new Promise((resolve) => { setTimeout(resolve); });

/**
 * @typedef {import("./decoding/decoder.js").DecodeOptions & import("./client.js").BackendOption}
 *   Options
 */

/** @param {{id: number, file: Uint8Array, options: Options}} request */
async function answer({ id, file, options }) {
  try {
    const { model, backends } = await load();
    const choice = new BackendChoice(backends, options.backend);
    const image = await decodeFile(file, model, async (sampling) => {
      const window = await windowFunction(model, choice, sampling);
      return async (inputs) => {
        await pause();
        if (cancelled.has(id)) throw new RdcError("cancelled");
        return window(inputs);
      };
    }, options, {
      onProgress: (progress) => self.postMessage({ id, progress }),
      onRows: (rows) => self.postMessage({ id, rows }, { transfer: [rows.pixels.buffer] }),
    });
    self.postMessage({ id, image: { ...image, ...choice.used } }, { transfer: [image.data.buffer] });
  } catch (error) {
    const known = error instanceof RdcError;
    self.postMessage({ id, error: { known, message: known ? error.message : String(error) } });
  }
  cancelled.delete(id);
}

// One file at a time: two would only wait for each other, in twice the memory.
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  if (data.cancel === undefined) last = last.then(() => answer(data));
  else cancelled.add(data.cancel);
};
