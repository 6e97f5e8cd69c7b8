// Dither phases from Philox4x32-10 (Salmon et al. 2011). They depend on seed and position only.

const KEY_TAG = 0x52444331;  // "RDC1"
const ROUNDS = 10;
const CHANNELS_PER_CALL = 16;

/** The high half of a 64-bit product of two uint32. @param {number} a @param {number} b */
function highHalf(a, b) {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  // No sum exceeds 2^32 - 1, so none is rounded.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (other >>> 16)) >>> 0;
}

/**
 * @param {Uint32Array} counter four words, replaced by the four words of the output
 * @param {number} key0
 * @param {number} key1
 */
export function philox(counter, key0, key1) {
  let [x0, x1, x2, x3] = counter;
  let k0 = key0, k1 = key1;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highHalf(0xd2511f53, x0), low0 = Math.imul(0xd2511f53, x0);
    const high1 = highHalf(0xcd9e8d57, x2), low1 = Math.imul(0xcd9e8d57, x2);
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1 >>> 0;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  counter[0] = x0;
  counter[1] = x1;
  counter[2] = x2;
  counter[3] = x3;
}

/**
 * Writes the phases of all channels at one position.
 * @param {Uint8Array} phases where to write
 * @param {number} at first element to write
 * @param {number} channels
 * @param {number} seed 0..2^32 - 1
 * @param {number} row in the image's latent
 * @param {number} column in the image's latent
 */
export function writePhases(phases, at, channels, seed, row, column) {
  for (let block = 0; block * CHANNELS_PER_CALL < channels; block++) {
    WORDS[0] = column;
    WORDS[1] = row;
    WORDS[2] = block;
    WORDS[3] = 0;
    philox(WORDS, seed, KEY_TAG);
    const begin = block * CHANNELS_PER_CALL;
    const count = Math.min(CHANNELS_PER_CALL, channels - begin);
    for (let i = 0; i < count; i++) {
      phases[at + begin + i] = ((WORDS[i >> 2] >>> (8 * (i & 3))) & 255) >> 3;
    }
  }
}

const WORDS = new Uint32Array(4);
