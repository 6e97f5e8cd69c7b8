// What is known before the first symbol: importance level and timestep of each latent pixel.

import { maps } from "./layers.js";

const TIMESTEP_HATS = 12, IMPORTANCE_HATS = 4;
const ONE = 1024;

/**
 * @typedef {object} Conditions
 * @property {number} height of the latent, latent pixels
 * @property {number} width of the latent
 * @property {number} levelRows height rounded up to a multiple of 4
 * @property {number} levelColumns width rounded up to a multiple of 4
 * @property {Uint8Array} levels [levelRows, levelColumns], importance level
 * @property {number[]} timesteps of each level
 * @property {number} ditherSeed
 * @property {number} row0 first row of a tile in the image's latent
 * @property {number} col0 first column of a tile in the image's latent
 */

/** @param {number} size */
const padded = (size) => 4 * Math.ceil(size / 4);

/**
 * @param {import("../bitstream/header.js").Header} header
 * @param {Uint8Array} grid [rows, columns], the importance map
 * @param {number} downsampling image pixels per latent pixel along a side
 * @returns {Conditions}
 */
export function conditionsOf(header, grid, downsampling) {
  const [height, width] = [header.height, header.width].map((n) => Math.ceil(n / downsampling));
  const levelRows = padded(height), levelColumns = padded(width);
  const cell = header.cellSize / downsampling, levels = new Uint8Array(levelRows * levelColumns);
  for (let y = 0; y < levelRows; y++) {
    const row = Math.min(Math.floor(y / cell), header.rows - 1) * header.columns;
    for (let x = 0; x < levelColumns; x++) {
      const column = Math.min(Math.floor(x / cell), header.columns - 1);
      levels[y * levelColumns + x] = grid[row + column];
    }
  }
  const { ditherSeed } = header, timesteps = levelTimesteps(header);
  const origin = { row0: 0, col0: 0 };
  return { height, width, levelRows, levelColumns, levels, timesteps, ditherSeed, ...origin };
}

/**
 * The conditions of a tile.
 * @param {Conditions} whole of the image
 * @param {import("../bitstream/tile_index.js").Window} window of the tile
 * @returns {Conditions}
 */
export function conditionsOfTile(whole, { top, bottom, left, right }) {
  const height = bottom - top, width = right - left;
  const levelRows = padded(height), levelColumns = padded(width);
  const levels = new Uint8Array(levelRows * levelColumns);
  for (let y = 0; y < levelRows; y++) {
    const from = (top + y) * whole.levelColumns + left;
    levels.set(whole.levels.subarray(from, from + levelColumns), y * levelColumns);
  }
  const row0 = top, col0 = left;
  return { ...whole, height, width, levelRows, levelColumns, levels, row0, col0 };
}

/** The timestep of each level. @param {import("../bitstream/header.js").Header} header */
function levelTimesteps({ timestepBackground: b, timestepRoi: r, numLevels }) {
  const top = numLevels - 1;
  if (!top) return [r];
  return Array.from({ length: numLevels }, (_, level) =>
    Math.floor((2 * (b * top + (r - b) * level) + top) / (2 * top)));
}

/** Hat functions of a position. @param {number} p @param {number} count */
const hats = (p, count) =>
  Array.from({ length: count }, (_, j) => Math.max(0, ONE - Math.abs(p - ONE * j)));

/**
 * The condition features of each latent pixel, 16 channels.
 * @param {Conditions} conditions
 */
export function conditionMap({ levelRows, levelColumns, levels, timesteps }) {
  const last = (IMPORTANCE_HATS - 1) * ONE, top = timesteps.length - 1;
  const features = timesteps.map((timestep, level) => [
    ...hats(Math.floor(timestep * ((TIMESTEP_HATS - 1) * ONE) / 1000), TIMESTEP_HATS),
    ...hats(top ? Math.floor(level * last / top) : last, IMPORTANCE_HATS),
  ]);
  const map = maps(levelRows, levelColumns, TIMESTEP_HATS + IMPORTANCE_HATS);
  for (let p = 0; p < levels.length; p++) map.data.set(features[levels[p]], p * map.c);
  return map;
}
