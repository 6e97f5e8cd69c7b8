// WebAssembly or WebGPU for the networks. The pixels of WebAssembly are the reference.
//
// WebGPU is used for a graph only after it has computed one window of a real file, and the result
// agreed with that of WebAssembly. The check needs both runtimes, so "auto" begins it with the
// second window: a small image never fetches the larger runtime. A refusal holds until the page is
// loaded again.

import { RdcError } from "../errors.js";

/** @typedef {"auto" | "wasm" | "webgpu"} BackendName */
/** @typedef {import("./runtime.js").Input} Input */
/** @typedef {Pick<import("./runtime.js").Runtime, "run" | "session">} AnyRuntime */

const NAMES = ["auto", "wasm", "webgpu"];
const LEVEL = 1;  // of 0..255
const SHARE = 0.999;  // of the samples that must agree within LEVEL
const WORST = 16;  // levels that no sample may exceed
const NOT_IN_FOLDER = "the folder has no WebGPU runtime: export it with --webgpu";

/**
 * Why WebGPU does not compute the same picture, null if it does.
 * @param {Float32Array} found
 * @param {Float32Array} expected
 */
export function disagreement(found, expected) {
  if (found.length !== expected.length) return "the picture has another size";
  const pixel = (/** @type {number} */ value) => Math.min(Math.max(value, 0), 255);
  let near = 0, worst = 0;
  for (let i = 0; i < found.length; i++) {
    const error = Math.abs(pixel(found[i]) - pixel(expected[i]));  // NaN stays
    near += Number(error <= LEVEL);
    worst = Math.max(worst, error);
  }
  if (near >= SHARE * found.length && worst <= WORST) return null;
  const percent = (100 * (1 - near / found.length)).toPrecision(3);
  return `${percent} % of the samples differ by more than ${LEVEL}, the worst by ` +
    `${worst.toPrecision(3)}`;
}

/** What a page knows about WebGPU, for all its files. */
export class Backends {
  #gpu;
  #hasFiles;
  /** @type {Promise<{adapter: any} | {reason: string}> | null} */
  #found = null;
  /** @type {Set<string>} graphs whose check has passed */
  checked = new Set();
  /** @type {string | null} why WebGPU is not used any more */
  refusal = null;

  /**
   * @param {AnyRuntime} wasm
   * @param {AnyRuntime} webgpu loads nothing before it is used
   * @param {() => Promise<boolean>} hasFiles whether the folder holds the WebGPU runtime
   * @param {any} gpu `navigator.gpu`
   */
  constructor(wasm, webgpu, hasFiles, gpu) {
    this.wasm = wasm;
    this.webgpu = webgpu;
    this.#hasFiles = hasFiles;
    this.#gpu = gpu;
  }

  /**
   * Why WebGPU cannot be used, null if it can be tried. Fetches no runtime.
   * @param {boolean} software whether an adapter in software will do
   */
  async obstacle(software) {
    if (this.refusal) return this.refusal;
    this.#found ??= this.#adapter();
    const found = await this.#found;
    if ("reason" in found) return found.reason;
    const info = found.adapter.info ?? found.adapter;
    return info.isFallbackAdapter && !software ? "WebGPU runs in software here" : null;
  }

  async #adapter() {
    if (!(await this.#hasFiles())) return { reason: NOT_IN_FOLDER };
    if (!this.#gpu) return { reason: "this browser has no WebGPU" };
    try {
      const adapter = await this.#gpu.requestAdapter();
      return adapter ? { adapter } : { reason: "no WebGPU adapter" };
    } catch (error) {
      return { reason: `no WebGPU adapter (${firstLine(error)})` };
    }
  }
}

/** Runs the graphs of one decode, and tells afterwards what ran them. */
export class BackendChoice {
  #all;
  #asked;
  #usedGpu = false;
  /** Why "auto" used WebAssembly. @type {string | null} */
  #note = null;
  /** The first window of each graph, with its reference.
   * @type {Map<string, {inputs: Record<string, Input>, expected: Float32Array}>} */
  #first = new Map();

  /**
   * @param {Backends} all
   * @param {BackendName} [asked]
   */
  constructor(all, asked = "auto") {
    if (!NAMES.includes(asked)) {
      throw new RdcError(`backend ${JSON.stringify(asked)} is not "auto", "wasm" or "webgpu"`);
    }
    this.#all = all;
    this.#asked = asked;
  }

  /** @returns {{backend: "wasm" | "webgpu", backendNote: string | null}} */
  get used() {
    const backend = this.#usedGpu && !this.#note ? "webgpu" : "wasm";
    return { backend, backendNote: this.#note };
  }

  /** Loads a graph where its next window runs. @param {string} graph */
  async session(graph) {
    const { wasm, webgpu, checked } = this.#all;
    const onGpu = checked.has(graph) && await this.#allowed();
    if (!onGpu) await wasm.session(graph);
    else await this.#orElse(() => webgpu.session(graph), () => wasm.session(graph));
  }

  /**
   * @param {string} graph
   * @param {Record<string, Input>} inputs
   * @returns {Promise<Float32Array>}
   */
  async run(graph, inputs) {
    const { wasm, checked } = this.#all, reference = () => wasm.run(graph, inputs);
    if (!(await this.#allowed())) return reference();
    if (!checked.has(graph) && !this.#first.has(graph)) {
      const expected = await reference();
      this.#first.set(graph, { inputs, expected });
      if (this.#asked === "auto") return expected;
    }
    return this.#orElse(() => this.#onGpu(graph, inputs), reference);
  }

  async #allowed() {
    if (this.#asked === "wasm" || this.#note) return false;
    const obstacle = await this.#all.obstacle(this.#asked === "webgpu");
    if (obstacle) this.#refuse(obstacle);
    return !obstacle;
  }

  /** @param {string} reason */
  #refuse(reason) {
    if (this.#asked === "webgpu") throw new RdcError(`WebGPU cannot be used: ${reason}`);
    this.#note = reason;
  }

  /**
   * @template T
   * @param {() => Promise<T>} onGpu
   * @param {() => Promise<T>} otherwise
   */
  async #orElse(onGpu, otherwise) {
    try {
      return await onGpu();
    } catch (error) {
      this.#all.refusal = error instanceof Disagreement ? error.message
        : `WebGPU failed (${firstLine(error)})`;
      this.#refuse(this.#all.refusal);
      return otherwise();
    }
  }

  /** @param {string} graph @param {Record<string, Input>} inputs */
  async #onGpu(graph, inputs) {
    const { webgpu, checked } = this.#all, first = this.#first.get(graph);
    if (!checked.has(graph) && first) {
      const picture = await webgpu.run(graph, first.inputs);
      const reason = disagreement(picture, first.expected);
      if (reason) throw new Disagreement(`its pixels are not those of WebAssembly: ${reason}`);
      checked.add(graph);
      if (first.inputs === inputs) return this.#done(picture);
    }
    this.#first.delete(graph);
    return this.#done(await webgpu.run(graph, inputs));
  }

  /** @param {Float32Array} picture */
  #done(picture) {
    this.#usedGpu = true;
    return picture;
  }
}

class Disagreement extends Error {}

/** @param {unknown} error */
const firstLine = (error) =>
  (error instanceof Error ? error.message : String(error)).split("\n", 1)[0];
