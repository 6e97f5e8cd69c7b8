// The payload of section TILES: an index, then the tiles, each with two streams and a CRC.

import { RdcError } from "../errors.js";
import {
  CRC_BYTES, MAX_VARINT_BYTES, crcFits, damaged, readVarint,
} from "./framing.js";

const MIN_SIDE = 1 << 5, MAX_SIDE = 1 << 10;  // of a tile, in latent pixels
const MIN_LOG2_PIXELS = 8, MAX_LOG2_PIXELS = 13;  // of a tile's side in image pixels
const INDEX = "the index of section TILES";

/** @typedef {{top: number, bottom: number, left: number, right: number}} Window a rectangle */

/** Tiles of side x side that cover height x width; the last ones end with the image. */
export class Grid {
  /** @param {number} height @param {number} width @param {number} side */
  constructor(height, width, side) {
    this.height = height;
    this.width = width;
    this.side = side;
    this.rows = Math.ceil(height / side);
    this.columns = Math.ceil(width / side);
  }

  /** @param {number} number of a tile, row by row @returns {Window} */
  window(number) {
    const top = Math.floor(number / this.columns) * this.side;
    const left = (number % this.columns) * this.side;
    return {
      top, left,
      bottom: Math.min(top + this.side, this.height),
      right: Math.min(left + this.side, this.width),
    };
  }

  /** The numbers of the tiles that overlap a window. @param {Window} window @returns {number[]} */
  covering({ top, bottom, left, right }) {
    const numbers = [];
    for (let row = Math.floor(top / this.side); row * this.side < bottom; row++) {
      for (let column = Math.floor(left / this.side); column * this.side < right; column++) {
        numbers.push(row * this.columns + column);
      }
    }
    return numbers;
  }
}

/**
 * @typedef {object} Index
 * @property {Grid} grid of the tiles
 * @property {Float64Array} offsets [n], position of each tile in the file
 * @property {Float64Array} lengths [2 n], bytes of the hyper-latent's and the latent's stream
 */

/**
 * Reads the index.
 * @param {Uint8Array} data the file
 * @param {number} begin of the payload
 * @param {number} end of the payload; it may lie beyond the end of the file
 * @param {number} height of the image, pixels
 * @param {number} width of the image, pixels
 * @returns {Index} with its grid in image pixels
 */
export function readIndex(data, begin, end, height, width) {
  const start = data.subarray(begin, Math.min(begin + 1, end));
  if (!start.length) throw damaged(INDEX, "it is empty");
  if (start[0] < MIN_LOG2_PIXELS || start[0] > MAX_LOG2_PIXELS) {
    throw damaged(INDEX, `side of a tile 2^${start[0]}`);
  }
  const grid = new Grid(height, width, 1 << start[0]);
  const count = grid.rows * grid.columns;
  if (end - begin < 1 + (2 + CRC_BYTES) * count + CRC_BYTES) {
    throw damaged(INDEX, `too short for ${grid.columns} x ${grid.rows} tiles`);
  }
  const most = Math.min(1 + 2 * MAX_VARINT_BYTES * count + CRC_BYTES, end - begin);
  const bytes = data.subarray(begin, begin + most);
  const lengths = new Float64Array(2 * count), offsets = new Float64Array(count);
  let position = 1;
  for (let i = 0; i < lengths.length; i++) {
    [lengths[i], position] = readVarint(bytes, position, INDEX);
  }
  if (bytes.length < position + CRC_BYTES || !crcFits(bytes, 0, position)) {
    throw damaged(INDEX, "CRC-32 mismatch");
  }
  let at = begin + position + CRC_BYTES;
  for (let i = 0; i < count; i++) {
    offsets[i] = at;
    at += lengths[2 * i] + lengths[2 * i + 1] + CRC_BYTES;
  }
  if (at !== end) throw damaged(INDEX, "its lengths do not add up to the section's");
  return { grid, offsets, lengths };
}

/** The index with its grid in latent pixels. @param {Index} index @param {number} downsampling */
export function onLatent(index, downsampling) {
  const { height, width, side } = index.grid;
  const [h, w, s] = [height, width, side].map((size) => Math.ceil(size / downsampling));
  if (s < MIN_SIDE || s > MAX_SIDE) {
    throw damaged(INDEX, `tiles of ${side} pixels do not fit its model`);
  }
  return { ...index, grid: new Grid(h, w, s) };
}

/**
 * The two streams of a tile.
 * @param {Uint8Array} data the file
 * @param {Index} index
 * @param {number} number of the tile
 * @returns {[Uint8Array, Uint8Array]} hyper-latent and latent
 */
export function readStreams(data, index, number) {
  const begin = index.offsets[number], middle = begin + index.lengths[2 * number];
  const end = middle + index.lengths[2 * number + 1];
  if (data.length < end + CRC_BYTES) throw new RdcError("cut off");
  if (!crcFits(data, begin, end)) throw new RdcError("CRC-32 mismatch");
  return [data.subarray(begin, middle), data.subarray(middle, end)];
}
