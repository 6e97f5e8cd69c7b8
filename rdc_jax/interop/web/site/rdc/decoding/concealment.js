// Gives damaged tiles the colours around them: rdc_jax/decoding/concealment.py explains the rule.

import { runningMean } from "./deblocking.js";

/** @typedef {import("../bitstream/tile_index.js").Window} Window */

const BESIDE = 16;  // the colour of a side is the mean of so many pixels beside the tile
const ALONG = 65;  // length of the running mean along a side

/**
 * Fills damaged tiles in, in place and row by row.
 * @param {Uint8ClampedArray} pixels RGB, the part of the image in `window`
 * @param {Window} window
 * @param {import("./latents.js").DamagedTile[]} damaged
 */
export function fillDamaged(pixels, window, damaged) {
  const h = window.bottom - window.top, w = window.right - window.left;
  const waiting = new Uint8Array(h * w);
  const places = [...damaged].sort((a, b) => a.number - b.number).map((tile) => ({
    top: Math.max(0, tile.y - window.top), bottom: Math.min(h, tile.y + tile.height - window.top),
    left: Math.max(0, tile.x - window.left), right: Math.min(w, tile.x + tile.width - window.left),
  })).filter((place) => place.top < place.bottom && place.left < place.right);
  for (const place of places) mark(waiting, w, place, 1);
  for (const place of places) {
    mark(waiting, w, place, 0);
    for (let c = 0; c < 3; c++) fillChannel(pixels, waiting, h, w, place, c);
  }
}

/** @param {Uint8Array} waiting @param {number} w @param {Window} place @param {number} value */
function mark(waiting, w, { top, bottom, left, right }, value) {
  for (let y = top; y < bottom; y++) waiting.fill(value, y * w + left, y * w + right);
}

/**
 * @param {Uint8ClampedArray} pixels
 * @param {Uint8Array} waiting 1 in tiles that are still to be filled
 * @param {number} h
 * @param {number} w
 * @param {Window} place
 * @param {number} c channel
 */
function fillChannel(pixels, waiting, h, w, place, c) {
  const { top, bottom, left, right } = place, height = bottom - top, width = right - left;
  const sides = [
    { ...place, top: Math.max(0, top - BESIDE), bottom: top },
    { ...place, top: bottom, bottom: Math.min(h, bottom + BESIDE) },
    { ...place, left: Math.max(0, left - BESIDE), right: left },
    { ...place, left: right, right: Math.min(w, right + BESIDE) },
  ].map((beside, side) => sideColours(pixels, waiting, w, c, beside, side < 2));
  if (!sides.some(Boolean)) return;
  let mean = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) mean += pixels[3 * (y * w + x) + c] / (height * width);
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const distances = [y, height - 1 - y, x, width - 1 - x], along = [x, x, y, y];
      let total = 0, weights = 0;
      sides.forEach((colours, side) => {
        if (!colours) return;
        const weight = (1 + distances[side]) ** -2;
        total += weight * colours[along[side]];
        weights += weight;
      });
      const at = 3 * ((top + y) * w + left + x) + c;
      pixels[at] += total / weights - mean;
    }
  }
}

/**
 * The colours along a side, or null if it lies outside or in a tile that is still to be filled.
 * @param {Uint8ClampedArray} pixels
 * @param {Uint8Array} waiting
 * @param {number} w
 * @param {number} c
 * @param {Window} beside the pixels beside the tile
 * @param {boolean} horizontal
 */
function sideColours(pixels, waiting, w, c, { top, bottom, left, right }, horizontal) {
  if (top >= bottom || left >= right) return null;
  const depth = horizontal ? bottom - top : right - left;
  const colours = new Float64Array(horizontal ? right - left : bottom - top);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (waiting[y * w + x]) return null;
      colours[horizontal ? x - left : y - top] += pixels[3 * (y * w + x) + c] / depth;
    }
  }
  return runningMean(colours, ALONG);
}
