// The ONNX graphs of the networks in onnxruntime-web, each loaded when it is needed.

import { FOLDER } from "./model.js";

/** @typedef {import("./reconstruction.js").WindowFunction} WindowFunction */

const RUNTIME = "runtime/ort-wasm-simd-threaded.wasm";
const MAX_THREADS = 8;

export class Networks {
  #model;
  #read;
  #importRuntime;
  /** @type {Promise<any> | null} */
  #ort = null;
  /** @type {Map<string, Promise<any>>} */
  #sessions = new Map();

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./model.js").Read} read
   * @param {() => Promise<any>} importRuntime imports onnxruntime-web
   */
  constructor(model, read, importRuntime) {
    this.#model = model;
    this.#read = read;
    this.#importRuntime = importRuntime;
  }

  /**
   * The networks for one image. Loads the graphs that it needs.
   * @param {import("./sampling.js").Sampling} sampling
   * @returns {Promise<WindowFunction>}
   */
  async windowFunction(sampling) {
    const { hasFusion } = this.#model, some = hasFusion && sampling.tau.some((tau) => tau > 0);
    const all = some && sampling.tau.every((tau) => tau > 0);
    const ort = await this.#runtime();
    if (!all) await this.#session("faithful.onnx");
    if (some) await this.#session("knob.onnx");
    return async ({ side, channels, yhat, mean, scale, noise, levels, tau }) => {
      const shape = [side, side, channels], square = [side, side];
      const floats = (/** @type {Float32Array} */ data, /** @type {number[]} */ dims) =>
        new ort.Tensor("float32", data, dims);
      /** @type {Record<string, any>} */
      const feeds = {
        yhat: floats(yhat, shape), mean: floats(mean, shape), scale: floats(scale, shape),
        levels: new ort.Tensor("uint8", levels, square),
        timesteps: floats(sampling.timesteps, [sampling.timesteps.length]),
      };
      const knob = hasFusion && tau.some((value) => value > 0);
      if (knob) Object.assign(feeds, { noise: floats(noise, shape), tau: floats(tau, square) });
      const session = await this.#session(knob ? "knob.onnx" : "faithful.onnx");
      const { picture } = await session.run(feeds);
      return /** @type {Float32Array} */ (picture.data);
    };
  }

  #runtime() {
    this.#ort ??= (async () => {
      const [ort, binary] = await Promise.all([this.#importRuntime(), this.#read(RUNTIME)]);
      const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
      // Threads need shared memory, which a page has only if it is cross-origin isolated.
      ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(cores, MAX_THREADS) : 1;
      ort.env.wasm.wasmBinary = binary;
      ort.env.logLevel = "error";
      return ort;
    })();
    return this.#ort;
  }

  /** @param {string} name of the graph */
  #session(name) {
    let session = this.#sessions.get(name);
    if (!session) {
      session = this.#load(name);
      this.#sessions.set(name, session);
      session.catch(() => this.#sessions.delete(name));  // the next decode may try again
    }
    return session;
  }

  /** @param {string} name */
  async #load(name) {
    const files = this.#model.graphs[name], ort = await this.#runtime();
    const [graph, ...weights] = await Promise.all(
      [name, ...files].map((file) => this.#read(FOLDER + file)));
    const externalData = weights.map((data, i) => ({ path: files[i], data }));
    return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData });
  }
}
