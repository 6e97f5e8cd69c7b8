// Decodes in a worker, so that the page stays alive. `client.js` is the other side.
//
//     in    {id, file, options}, {cancel: id}
//     out   {id, progress}, {id, rows}, {id, image}, {id, error}

import { decodeFile } from "./decoding/decoder.js";
import { loadModel } from "./decoding/model.js";
import { Networks } from "./decoding/networks.js";
import { RdcError } from "./errors.js";
import { ROOT, readFolder } from "./folder.js";

const RUNTIME = new URL("runtime/ort.wasm.bundle.min.mjs", ROOT);

/** @type {Promise<{model: import("./decoding/model.js").Model, networks: Networks}> | null} */
let loaded = null;

function load() {
  loaded ??= loadModel(readFolder).then((model) => ({
    model, networks: new Networks(model, readFolder, () => import(RUNTIME.href)),
  }));
  loaded.catch(() => { loaded = null; });  // the next file may try again
  return loaded;
}

/** Requests that nobody waits for any more. @type {Set<number>} */
const cancelled = new Set();

/** Lets messages arrive. */
const pause = () => new Promise((resolve) => { setTimeout(resolve); });

/** @param {{id: number, file: Uint8Array, options: object}} request */
async function answer({ id, file, options }) {
  try {
    const { model, networks } = await load();
    const image = await decodeFile(file, model, async (sampling) => {
      const window = await networks.windowFunction(sampling);
      return async (inputs) => {
        await pause();
        if (cancelled.has(id)) throw new RdcError("cancelled");
        return window(inputs);
      };
    }, options, {
      onProgress: (progress) => self.postMessage({ id, progress }),
      onRows: (rows) => self.postMessage({ id, rows }, { transfer: [rows.pixels.buffer] }),
    });
    self.postMessage({ id, image }, { transfer: [image.data.buffer] });
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
