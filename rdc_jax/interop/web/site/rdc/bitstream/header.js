// The header of a file: coding parameters of one image. docs/bitstream.md has the byte layout.

import { RdcError } from "../errors.js";
import {
  CRC_BYTES, MAX_VARINT_BYTES, crcFits, damaged, readUint16, readUint32, readVarint, truncated,
} from "./framing.js";

export const DEFAULT_MAX_PIXELS = 2 ** 28;

const SIGNATURE = [0x9d, 0x52, 0x44, 0x43];
const FORMAT_VERSION = 1;
const MAX_SIDE = 2 ** 20;
const MAP_CELLS = 2 ** 20;  // maps up to this many cells are always read
const FIXED_BYTES = 20;  // of the fields after width and height
export const MAX_HEADER_BYTES = 4 + 2 + 2 * MAX_VARINT_BYTES + FIXED_BYTES + CRC_BYTES;

/**
 * @typedef {object} Header
 * @property {number} width of the image, pixels, 1..2^20
 * @property {number} height of the image, pixels, 1..2^20
 * @property {string} modelId 16 hexadecimal digits
 * @property {number} numLevels of importance, 1..256
 * @property {number} timestepBackground at importance 0, 0..1000
 * @property {number} timestepRoi at importance 1, 0..1000
 * @property {number} cellSize side of an importance cell, pixels
 * @property {number} colourMode 0 RGB, 1 grey
 * @property {number} ditherSeed 0..2^32 - 1
 * @property {number} defaultSteps 0..255
 * @property {number} defaultTau 0..255, in units of 1/255
 * @property {number} rows of the importance map
 * @property {number} columns of the importance map
 */

/**
 * Reads the header from the first bytes of a file.
 * @param {Uint8Array} data MAX_HEADER_BYTES bytes, or the whole file if it is shorter
 * @param {number} maxPixels images with more pixels are refused
 * @returns {[Header, number, number]} header, number of sections, position after the header
 */
export function readHeader(data, maxPixels) {
  const begins = SIGNATURE.every((octet, i) => i >= data.length || data[i] === octet);
  if (!begins) throw new RdcError("not an rdc file: it does not begin with the rdc signature");
  if (data.length < SIGNATURE.length + 2) throw truncated("header");
  const [version, numSections] = data.subarray(4, 6);
  if (version > FORMAT_VERSION) {
    throw new RdcError(
      `the file has format version ${version}, this program reads up to ${FORMAT_VERSION}: ` +
      "upgrade rdc_jax");
  }
  if (version !== FORMAT_VERSION) throw damaged("header", `format version ${version}`);
  const [width, afterWidth] = readVarint(data, 6, "header");
  const [height, begin] = readVarint(data, afterWidth, "header");
  const end = begin + FIXED_BYTES;
  if (data.length < end + CRC_BYTES) throw truncated("header");
  if (!crcFits(data, 0, end)) throw damaged("header", "CRC-32 mismatch");
  const header = fields(width, height, data.subarray(begin, end));
  checkRanges(header);
  checkSize(header, maxPixels);
  return [header, numSections, end + CRC_BYTES];
}

/** @param {number} width @param {number} height @param {Uint8Array} fixed @returns {Header} */
function fields(width, height, fixed) {
  const cellSize = 1 << (fixed[13] & 15);
  return {
    width,
    height,
    modelId: Array.from(fixed.subarray(0, 8), (x) => x.toString(16).padStart(2, "0")).join(""),
    numLevels: fixed[8] + 1,
    timestepBackground: readUint16(fixed, 9),
    timestepRoi: readUint16(fixed, 11),
    cellSize,
    colourMode: fixed[13] >> 4,
    ditherSeed: readUint32(fixed, 14),
    defaultSteps: fixed[18],
    defaultTau: fixed[19],
    rows: Math.ceil(height / cellSize),
    columns: Math.ceil(width / cellSize),
  };
}

/** @param {Header} header */
function checkRanges(header) {
  /** @type {[string, number, number, number][]} */
  const ranges = [
    ["width", header.width, 1, MAX_SIDE],
    ["height", header.height, 1, MAX_SIDE],
    ["timestep_background", header.timestepBackground, 0, 1000],
    ["timestep_roi", header.timestepRoi, 0, 1000],
  ];
  for (const [name, value, least, most] of ranges) {
    if (value < least || value > most) {
      throw new RdcError(`${name} is ${value}: it must be ${least}..${most}`);
    }
  }
  if (header.colourMode > 1) {
    throw new RdcError(`colour mode ${header.colourMode} is unknown: upgrade rdc_jax`);
  }
}

/** Refuses images and maps that are too large. @param {Header} header @param {number} maxPixels */
function checkSize(header, maxPixels) {
  if (header.width * header.height > maxPixels) {
    throw new RdcError(
      `the image has ${header.width} x ${header.height} pixels, more than the limit of ` +
      `${maxPixels}: raise maxPixels if you trust the file`);
  }
  const cells = header.rows * header.columns;
  const most = Math.max(MAP_CELLS, Math.floor(maxPixels / 16));
  if (cells > most) {
    throw new RdcError(
      `the importance map has ${cells} cells, more than the limit of ${most}: raise maxPixels ` +
      "if you trust the file");
  }
}
