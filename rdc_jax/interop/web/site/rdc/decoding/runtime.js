// One onnxruntime-web with the graphs of a model, each loaded when it is needed.

import { FOLDER } from "./model.js";

/** @typedef {{type: "float32" | "uint8", data: Float32Array | Uint8Array, dims: number[]}} Input */

/**
 * @typedef {object} RuntimeFiles of the exported folder
 * @property {string} module
 * @property {string} binary
 * @property {"wasm" | "webgpu"} provider
 */

/** @type {RuntimeFiles} */
export const WASM = {
  module: "runtime/ort.wasm.bundle.min.mjs",
  binary: "runtime/ort-wasm-simd-threaded.wasm",
  provider: "wasm",
};
/** Only in a folder of `rdc export --webgpu`. @type {RuntimeFiles} */
export const WEBGPU = {
  module: "runtime/webgpu/ort.webgpu.bundle.min.mjs",
  binary: "runtime/webgpu/ort-wasm-simd-threaded.asyncify.wasm",
  provider: "webgpu",
};
const MAX_THREADS = 8;

export class Runtime {
  #model;
  #read;
  #importModule;
  #files;
  /** @type {Promise<any> | null} */
  #ort = null;
  /** @type {Map<string, Promise<any>>} */
  #sessions = new Map();

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./model.js").Read} read
   * @param {(name: string) => Promise<any>} importModule imports a module of the folder
   * @param {RuntimeFiles} files
   */
  constructor(model, read, importModule, files) {
    this.#model = model;
    this.#read = read;
    this.#importModule = importModule;
    this.#files = files;
  }

  /**
   * Runs a graph.
   * @param {string} graph
   * @param {Record<string, Input>} inputs
   * @returns {Promise<Float32Array>} the picture [side,side,3] of about 0..255
   */
  async run(graph, inputs) {
    const ort = await this.#runtime(), session = await this.session(graph);
    const feeds = Object.fromEntries(Object.entries(inputs).map(
      ([name, { type, data, dims }]) => [name, new ort.Tensor(type, data, dims)]));
    const { picture } = await session.run(feeds);
    return picture.data;
  }

  /** Loads a graph. @param {string} name */
  session(name) {
    let session = this.#sessions.get(name);
    if (!session) {
      session = this.#load(name);
      this.#sessions.set(name, session);
      session.catch(() => this.#sessions.delete(name));  // the next decode may try again
    }
    return session;
  }

  #runtime() {
    this.#ort ??= (async () => {
      const { module, binary, provider } = this.#files;
      const [ort, data] = await Promise.all([this.#importModule(module), this.#read(binary)]);
      const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
      // Threads need shared memory, which a page has only if it is cross-origin isolated.
      const threads = provider === "wasm" && globalThis.crossOriginIsolated;
      ort.env.wasm.numThreads = threads ? Math.min(cores, MAX_THREADS) : 1;
      ort.env.wasm.wasmBinary = data;
      ort.env.logLevel = "error";
      return ort;
    })();
    this.#ort.catch(() => { this.#ort = null; });
    return this.#ort;
  }

  /** @param {string} name */
  async #load(name) {
    const files = this.#model.graphs[name], ort = await this.#runtime();
    const [graph, ...weights] = await Promise.all(
      [name, ...files].map((file) => this.#read(FOLDER + file)));
    const externalData = weights.map((data, i) => ({ path: files[i], data }));
    const executionProviders = [this.#files.provider];
    return ort.InferenceSession.create(graph, { executionProviders, externalData });
  }
}
