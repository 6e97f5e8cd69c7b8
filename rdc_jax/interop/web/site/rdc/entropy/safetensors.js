// Reads the integer arrays of a safetensors file.

import { RdcError } from "../errors.js";

/** @typedef {{shape: number[], data: ArrayLike<number>}} IntegerArray in C order */
/** @typedef {Map<string, IntegerArray>} Arrays */

const KINDS = { I16: Int16Array, U16: Uint16Array, I32: Int32Array, I64: BigInt64Array };

const damage = () => new RdcError("entropy.safetensors is damaged: export the model again");

/**
 * @param {ArrayBuffer} buffer the file: length of a JSON header, the header, the arrays' bytes
 * @returns {Arrays} int64 arrays become float64; none may hold 2^53 or more
 */
export function readSafetensors(buffer) {
  const arrays = new Map();
  try {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const text = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
    for (const [name, entry] of Object.entries(JSON.parse(text))) {
      if (name !== "__metadata__") arrays.set(name, readArray(buffer, 8 + length, entry));
    }
  } catch (error) {
    throw error instanceof RdcError ? error : damage();
  }
  return arrays;
}

/** @param {ArrayBuffer} buffer @param {number} origin @param {any} entry @returns {IntegerArray} */
function readArray(buffer, origin, { dtype, shape, data_offsets: [begin, end] }) {
  const Kind = KINDS[/** @type {keyof KINDS} */ (dtype)];
  const bytes = buffer.slice(origin + begin, origin + end);  // aligned
  const size = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
  if (!Kind || bytes.byteLength !== size * Kind.BYTES_PER_ELEMENT) throw damage();
  const stored = new Kind(bytes);
  if (!(stored instanceof BigInt64Array)) return { shape, data: stored };
  const data = Float64Array.from(stored, Number);
  if (!data.every(Number.isSafeInteger)) throw damage();
  return { shape, data };
}
