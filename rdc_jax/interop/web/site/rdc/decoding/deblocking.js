// Smooths the faint line where two tiles meet: rdc_jax/decoding/deblocking.py explains the rule.

/** @typedef {import("../bitstream/tile_index.js").Window} Window */

export const MARGIN = 24;  // pixels around an area that can influence it
const REACH = 8, ALONG = 9, LARGEST = 16;

/**
 * Removes the steps at multiples of `tile` pixels, in place.
 * @param {Uint8ClampedArray} pixels RGB, the part of the image in `window`
 * @param {Window} window
 * @param {number} tile side of a tile
 */
export function smoothBorders(pixels, window, tile) {
  const h = window.bottom - window.top, w = window.right - window.left;
  for (let x = firstBorder(window.left, tile); x < w; x += tile) {
    smoothBorder(pixels, { border: x, length: h, size: w, across: 3, along: 3 * w });
  }
  for (let y = firstBorder(window.top, tile); y < h; y += tile) {
    smoothBorder(pixels, { border: y, length: w, size: h, across: 3 * w, along: 3 });
  }
}

/** @param {number} first position of the window @param {number} tile */
const firstBorder = (first, tile) => (first % tile ? tile - (first % tile) : 0);

/**
 * @param {Uint8ClampedArray} pixels
 * @param {{border: number, length: number, size: number, across: number, along: number}} line
 *   the border lies between pixels border - 1 and border of `size`; it is `length` pixels long;
 *   across, along: from one sample to the next in these directions
 */
function smoothBorder(pixels, { border, length, size, across, along }) {
  const begin = Math.max(0, border - REACH), end = Math.min(size, border + REACH);
  if (border - begin < 2 || end - border < 2) return;
  for (let c = 0; c < 3; c++) {
    const at = (/** @type {number} */ place, /** @type {number} */ i) =>
      place * across + i * along + c;
    const steps = Float64Array.from({ length }, (_, i) => {
      const [l2, l, r, r2] = [-2, -1, 0, 1].map((k) => pixels[at(border + k, i)]);
      return r - l - (l - l2 + r2 - r) / 2;
    });
    const mean = runningMean(steps, ALONG), squares = runningMean(steps.map((d) => d * d), ALONG);
    const removed = runningMean(mean.map((m, i) => {
      const variance = Math.max(squares[i] - m * m, 0);
      return m * (m * m / (m * m + 2 * variance + 1e-3)) * Math.max(0, 1 - (m / LARGEST) ** 2);
    }), ALONG);
    for (let place = begin; place < end; place++) {
      const distance = place - border + 0.5;
      const fade = Math.max(0, 1 - Math.abs(distance) / REACH) * (distance < 0 ? 0.5 : -0.5);
      for (let i = 0; i < length; i++) pixels[at(place, i)] += removed[i] * fade;
    }
  }
}

/**
 * Mean over `count` (odd) neighbours, ends repeated.
 * @param {Float64Array} values
 * @param {number} count
 */
export function runningMean(values, count) {
  const last = values.length - 1, half = (count - 1) / 2;
  return values.map((_, i) => {
    let sum = 0;
    for (let k = i - half; k <= i + half; k++) sum += values[Math.min(Math.max(k, 0), last)];
    return sum / count;
  });
}
