// From a latent to pixels: the networks see one window at a time.

import { fillDamaged } from "./concealment.js";
import { MARGIN, smoothBorders } from "./deblocking.js";
import { startingNoise } from "./sampling.js";
import { Layout, Sums, square } from "./windows.js";

/** @typedef {import("../bitstream/tile_index.js").Window} Window */
/** @typedef {import("./sampling.js").Sampling} Sampling */

const WINDOW_PIXELS = 320, OVERLAP_PIXELS = 64;
const GREY = 1;

/**
 * The networks on one window of s x s latent pixels: float32 [s,s,C] of yhat, mean, scale and
 * noise (empty without a fusion module), uint8 [s,s] levels, float32 [s,s] tau -> float32
 * [f s,f s,3] of about 0..255.
 * @callback WindowFunction
 * @param {{side: number, channels: number, yhat: Float32Array, mean: Float32Array,
 *   scale: Float32Array, noise: Float32Array, levels: Uint8Array, tau: Float32Array}} inputs
 * @returns {Promise<Float32Array>}
 */

/**
 * @typedef {object} Rows rows of the image that are ready
 * @property {number} y first row, within the wanted part
 * @property {number} height
 * @property {Uint8ClampedArray} pixels RGB
 */

/**
 * @param {import("./opened_file.js").OpenedFile} opened
 * @param {{entropy: import("../entropy/entropy_model.js").EntropyModel, downsampling: number,
 *   hasFusion: boolean}} model
 * @param {Sampling} sampling
 * @param {WindowFunction} networks
 * @param {object} hooks
 * @param {(fraction: number) => void} [hooks.onProgress]
 * @param {(rows: Rows) => void} [hooks.onRows] before the borders of tiles are smoothed
 * @returns {Promise<Uint8ClampedArray>} RGB of the wanted part
 */
export async function reconstruct(opened, model, sampling, networks, hooks = {}) {
  const { header, area: wanted, latents, conditions } = opened, scale = model.downsampling;
  const area = latents.tileSide === null ? wanted : grown(wanted, header);
  const w = area.right - area.left, h = area.bottom - area.top;
  const pixels = new Uint8ClampedArray(3 * w * h);
  const size = { h: conditions.height, w: conditions.width }, side = WINDOW_PIXELS / scale;
  const layout = new Layout(size, side, OVERLAP_PIXELS / scale, scale, area);
  const sums = new Sums(layout), count = layout.rows.length * layout.columns.length;
  let done = 0, filled = 0;
  for (let i = 0; i < layout.rows.length; i++) {
    const row = layout.rows[i];
    const band = bandOf(opened, model, sampling, layout, row, side);
    for (const column of layout.columns) {
      sums.add(await networks(band(column)), row, column);
      hooks.onProgress?.(++done / count);
    }
    const rows = sums.finished(row, layout.rows[i + 1] ?? null);
    const part = pixels.subarray(filled, filled += rows.length);
    part.set(rows);  // rounds half to even, and clips
    if (header.colourMode === GREY) makeGrey(part);
    hooks.onRows?.(shown(part, filled - rows.length, w, area, wanted));
  }
  if (latents.damaged.length) fillDamaged(pixels, area, latents.damaged);
  if (latents.tileSide !== null) smoothBorders(pixels, area, latents.tileSide);
  return cut(pixels, area, wanted);
}

/**
 * The function that makes the inputs of the windows of one row.
 * @param {import("./opened_file.js").OpenedFile} opened
 * @param {{entropy: import("../entropy/entropy_model.js").EntropyModel, hasFusion: boolean}} model
 * @param {Sampling} sampling
 * @param {Layout} layout
 * @param {number} row
 * @param {number} side of a window, latent pixels
 */
function bandOf({ latents, conditions }, model, sampling, { columns }, row, side) {
  const left = columns[0], right = Math.min(conditions.width, columns[columns.length - 1] + side);
  const bottom = Math.min(conditions.height, row + side);
  const latent = latents.window(model.entropy, { top: row, bottom, left, right });
  const { h, w, c } = latent;
  return (/** @type {number} */ column) => {
    const begin = column - left;
    const ofBand = (/** @type {Float32Array} */ x) => square(x, h, w, c, begin, side);
    /** @template {Float32Array | Uint8Array} T @param {T} x */
    const ofImage = (x) => {
      const rows = /** @type {T} */ (x.subarray(row * conditions.width));
      return square(rows, h, conditions.width, 1, column, side);
    };
    const place = { top: row, bottom, left: column, right: Math.min(right, column + side) };
    const noise = model.hasFusion ? startingNoise(sampling.noiseSeed, place, c) : null;
    return {
      side, channels: c,
      yhat: ofBand(latent.yhat), mean: ofBand(latent.mean), scale: ofBand(latent.scale),
      noise: noise ? square(noise, h, place.right - column, c, 0, side) : new Float32Array(0),
      levels: ofImage(sampling.levels), tau: ofImage(sampling.tau),
    };
  };
}

/**
 * @param {Window} wanted
 * @param {import("../bitstream/header.js").Header} header
 * @returns {Window}
 */
const grown = (wanted, { height, width }) => ({
  top: Math.max(0, wanted.top - MARGIN), bottom: Math.min(height, wanted.bottom + MARGIN),
  left: Math.max(0, wanted.left - MARGIN), right: Math.min(width, wanted.right + MARGIN),
});

/** The mean of the channels in all of them. @param {Uint8ClampedArray} pixels */
function makeGrey(pixels) {
  for (let i = 0; i < pixels.length; i += 3) {
    pixels.fill((pixels[i] + pixels[i + 1] + pixels[i + 2]) / 3, i, i + 3);
  }
}

/**
 * Rows that are ready, without what lies outside of the wanted part.
 * @param {Uint8ClampedArray} part RGB rows
 * @param {number} begin where they begin in the pixels of `area`
 * @param {number} w width of `area`
 * @param {Window} area
 * @param {Window} wanted
 * @returns {Rows}
 */
function shown(part, begin, w, area, wanted) {
  const first = area.top + begin / (3 * w), last = first + part.length / (3 * w);
  const top = Math.max(first, wanted.top), bottom = Math.max(top, Math.min(last, wanted.bottom));
  const pixels = cut(part, { ...area, top: first, bottom: last }, { ...wanted, top, bottom });
  return { y: top - wanted.top, height: bottom - top, pixels };
}

/** @param {Uint8ClampedArray} pixels RGB of `area` @param {Window} area @param {Window} wanted */
function cut(pixels, area, wanted) {
  const from = area.right - area.left, w = wanted.right - wanted.left;
  const h = wanted.bottom - wanted.top, out = new Uint8ClampedArray(3 * w * h);
  for (let y = 0; y < h; y++) {
    const at = 3 * ((y + wanted.top - area.top) * from + wanted.left - area.left);
    out.set(pixels.subarray(at, at + 3 * w), 3 * y * w);
  }
  return out;
}
