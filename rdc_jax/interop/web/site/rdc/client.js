// Asks the worker to decode, and starts it with the first file.

import { RdcError } from "./errors.js";

/**
 * @typedef {import("./decoding/decoder.js").DecodedImage & {
 *   backend: "wasm" | "webgpu", backendNote: string | null}} DecodedImage
 * `backend` is what ran the networks; `backendNote` is why "auto" did not use WebGPU
 */

/**
 * @typedef {object} BackendOption
 * @property {import("./decoding/backends.js").BackendName} [backend] default: "auto", which is
 *   WebGPU where it agrees with WebAssembly
 */

/**
 * @typedef {object} Hooks
 * @property {(fraction: number) => void} [onProgress] 0..1
 * @property {(rows: import("./decoding/reconstruction.js").Rows) => void} [onRows] a preview of
 *   rows that are ready
 * @property {AbortSignal} [signal] aborting rejects the promise at once
 */

/**
 * @typedef {object} Waiting
 * @property {(image: DecodedImage) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {Hooks} hooks
 */

/** @type {Worker | null} */
let worker = null;
let next = 0;
/** @type {Map<number, Waiting>} */
const waiting = new Map();

/**
 * Decodes a file in a worker.
 * @param {Uint8Array | ArrayBuffer} file
 * @param {import("./decoding/decoder.js").DecodeOptions & BackendOption & Hooks} [options]
 * @returns {Promise<DecodedImage>} rejects with an RdcError of one line for a file that is damaged
 */
export function decode(file, { onProgress, onRows, signal, ...options } = {}) {
  const bytes = new Uint8Array(file);
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const id = next++;
    waiting.set(id, { resolve, reject, hooks: { onProgress, onRows } });
    signal?.addEventListener("abort", () => {
      if (!waiting.delete(id)) return;
      worker?.postMessage({ cancel: id });
      reject(signal.reason);
    });
    worker ??= start();
    worker.postMessage({ id, file: bytes, options });
  });
}

/** @returns {Worker} */
function start() {
  const url = new URL("./worker.js", import.meta.url), isOurs = url.origin === location.origin;
  // A worker's own script must be of the page's origin; what it imports may be of another.
  const script = isOurs ? url : URL.createObjectURL(
    new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }));
  const started = new Worker(script, { type: "module" });
  started.onmessage = ({ data: { id, progress, rows, image, error } }) => {
    const one = waiting.get(id);
    if (!one) return;  // aborted
    if (progress !== undefined) one.hooks.onProgress?.(progress);
    if (rows) one.hooks.onRows?.(rows);
    if (image) one.resolve(image);
    if (error) one.reject(error.known ? new RdcError(error.message) : new Error(error.message));
    if (image || error) waiting.delete(id);
  };
  started.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values()) {
      reject(new Error(`the decoder stopped: ${event.message ?? "its script did not load"}`));
    }
    waiting.clear();
    worker = null;
    started.terminate();
  };
  return started;
}
