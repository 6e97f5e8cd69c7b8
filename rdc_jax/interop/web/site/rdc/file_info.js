// What a file says about itself; no model is needed.

import { FileReader } from "./bitstream/file_reader.js";
import { DEFAULT_MAX_PIXELS } from "./bitstream/header.js";
import { ALPHA, ICC, IMPORTANCE, TILES, sectionName } from "./bitstream/sections.js";
import { readIndex } from "./bitstream/tile_index.js";
import { decodeImportance } from "./entropy/importance_map.js";

/**
 * @typedef {object} FileInfo
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} bytes of the file
 * @property {number} bpp bits per pixel
 * @property {string} modelId names the weights that decode the file
 * @property {number} importanceLevels 1 for no map
 * @property {[number, number]} timesteps background, region of interest
 * @property {number} tau that the file suggests, 0..1
 * @property {boolean} grey
 * @property {boolean} alpha
 * @property {boolean} profile whether it has a colour profile
 * @property {number | null} tileSide pixels, null without tiles
 * @property {Record<string, number>} sectionBytes payload of each section, by name
 */

/**
 * A summary. The contents of the sections are not checked.
 * @param {Uint8Array} file
 * @returns {FileInfo}
 */
export function info(file) {
  const { header, places } = new FileReader(file, { maxPixels: 2 ** 40 });
  const { width, height } = header, tiles = places.get(TILES);
  return {
    width, height, bytes: file.length, bpp: 8 * file.length / (width * height),
    modelId: header.modelId,
    importanceLevels: header.numLevels,
    timesteps: [header.timestepBackground, header.timestepRoi],
    tau: header.defaultTau / 255,
    grey: header.colourMode === 1,
    alpha: places.has(ALPHA),
    profile: places.has(ICC),
    tileSide: tiles ? readIndex(file, tiles.begin, tiles.end, height, width).grid.side : null,
    sectionBytes: Object.fromEntries(
      [...places].map(([type, p]) => [sectionName(type).toLowerCase(), p.end - p.begin])),
  };
}

/**
 * The importance map.
 * @param {Uint8Array} file
 * @returns {{rows: number, columns: number, cellSize: number, numLevels: number,
 *   levels: Uint8Array}} levels [rows * columns], 0..numLevels - 1; cellSize in pixels
 */
export function importanceMap(file) {
  const reader = new FileReader(file, { maxPixels: DEFAULT_MAX_PIXELS }), { header } = reader;
  const { rows, columns, numLevels, cellSize } = header;
  const levels = decodeImportance(reader.payload(IMPORTANCE), rows, columns, numLevels);
  return { rows, columns, cellSize, numLevels, levels };
}
