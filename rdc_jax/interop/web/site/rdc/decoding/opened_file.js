// Opening a file to decode it: header and map are read and checked, the latent stays as bytes.

import { FileReader } from "../bitstream/file_reader.js";
import { DEFAULT_MAX_PIXELS } from "../bitstream/header.js";
import { HYPER_LATENT, IMPORTANCE, LATENT, TILES } from "../bitstream/sections.js";
import { readIndex } from "../bitstream/tile_index.js";
import { conditionsOf } from "../entropy/conditions.js";
import { decodeImportance } from "../entropy/importance_map.js";
import { RdcError } from "../errors.js";
import { TiledLatent, WholeLatent } from "./latents.js";

/** @typedef {import("../bitstream/tile_index.js").Window} Window */
/** @typedef {import("../bitstream/header.js").Header} Header */

const PIECE_SHARE = 8;  // an image in one piece, or a tile, may have 1 / 8 of the limit of pixels

/**
 * @typedef {object} ReadOptions
 * @property {number} [maxPixels] larger images are refused, and an eighth of it in one piece
 * @property {[number, number, number, number] | null} [crop] x, y, width, height in pixels
 * @property {boolean} [resilient] damaged tiles are filled in, not an error
 */

/**
 * @typedef {object} OpenedFile
 * @property {FileReader} reader
 * @property {Header} header
 * @property {Uint8Array} grid the importance map, [rows, columns]
 * @property {import("../entropy/conditions.js").Conditions} conditions
 * @property {Window} area the wanted part of the image, in pixels
 * @property {TiledLatent | WholeLatent} latents
 */

/**
 * @param {Uint8Array} data the file
 * @param {{modelId: string, numLevels: number, downsampling: number}} model
 * @param {ReadOptions} options
 * @returns {OpenedFile}
 */
export function openFile(data, model, options = {}) {
  const { maxPixels = DEFAULT_MAX_PIXELS, crop = null, resilient = false } = options;
  const reader = new FileReader(data, { maxPixels, cutOff: resilient }), { header } = reader;
  checkHeader(reader, model, maxPixels);
  const area = areaOf(header, crop), everything = !crop && !resilient;
  if (everything) {
    for (const type of reader.places.keys()) if (type !== TILES) reader.payload(type);
  }
  const payload = reader.payload(IMPORTANCE);
  const grid = decodeImportance(payload, header.rows, header.columns, header.numLevels);
  const conditions = conditionsOf(header, grid, model.downsampling);
  const place = reader.places.get(TILES);
  if (!place) {
    const latents = new WholeLatent(conditions, () => [HYPER_LATENT, LATENT].map(
      (type) => reader.payload(type)));
    return { reader, header, grid, conditions, area, latents };
  }
  const index = readIndex(data, place.begin, place.end, header.height, header.width);
  const first = index.grid.window(0);
  checkPiece("a tile has", first.right, first.bottom, maxPixels, "for a tile");
  const latents = new TiledLatent(data, conditions, index, model.downsampling, resilient);
  if (everything) checkTiles(reader, latents);
  return { reader, header, grid, conditions, area, latents };
}

/** @param {FileReader} reader @param {TiledLatent} latents */
function checkTiles(reader, latents) {
  try {
    reader.payload(TILES);
  } catch (error) {
    latents.check();  // names the damaged tile, if it is one
    throw error;
  }
}

/**
 * @param {Header} header
 * @param {[number, number, number, number] | null} crop
 * @returns {Window}
 */
function areaOf(header, crop) {
  if (!crop) return { top: 0, bottom: header.height, left: 0, right: header.width };
  if (!Array.isArray(crop) || crop.length !== 4 || !crop.every(Number.isInteger)) {
    throw new RdcError(
      `the crop must be four whole numbers x, y, width, height, not ${JSON.stringify(crop)}`);
  }
  const [x, y, width, height] = crop;
  const fits = x >= 0 && width > 0 && x + width <= header.width
    && y >= 0 && height > 0 && y + height <= header.height;
  if (!fits) {
    throw new RdcError(
      `the crop ${crop.join(",")} (x, y, width, height) does not lie in the image of ` +
      `${header.width} x ${header.height} pixels`);
  }
  return { top: y, bottom: y + height, left: x, right: x + width };
}

/**
 * @param {FileReader} reader
 * @param {{modelId: string, numLevels: number, downsampling: number}} model
 * @param {number} maxPixels
 */
function checkHeader({ header, places }, model, maxPixels) {
  if (header.modelId !== model.modelId) {
    throw new RdcError(
      `the file needs model ${header.modelId}, but this page has model ${model.modelId}; open it ` +
      "where its own model was exported");
  }
  if (header.numLevels > model.numLevels || header.cellSize % model.downsampling) {
    throw new RdcError("the file's importance map does not fit its model; the file is damaged");
  }
  if (!places.has(TILES)) {
    checkPiece("the image has", header.width, header.height, maxPixels, "without tiles");
  }
}

/**
 * @param {string} what
 * @param {number} width
 * @param {number} height
 * @param {number} maxPixels
 * @param {string} kind
 */
function checkPiece(what, width, height, maxPixels, kind) {
  const most = Math.floor(maxPixels / PIECE_SHARE);
  if (width * height > most) {
    throw new RdcError(
      `${what} ${width} x ${height} pixels, more than the limit of ${most} ${kind}, an eighth of ` +
      `maxPixels: raise that to ${PIECE_SHARE * width * height} if you trust the file`);
  }
}
