// The sections of a file: codes, names, and which combinations make a valid file.

import { RdcError } from "../errors.js";
import { MAX_VARINT_BYTES, readVarint } from "./framing.js";

export const IMPORTANCE = 1, HYPER_LATENT = 2, LATENT = 3, TILES = 4;
export const ALPHA = 0x81, ICC = 0x82, EXIF = 0x83, XMP = 0x84;

export const MAX_FRAME_BYTES = 1 + MAX_VARINT_BYTES;  // type and length
const MAX_METADATA_BYTES = 2 ** 24;
const OPTIONAL = 0x80;  // types from here on may be skipped

/** @type {Map<number, string>} */
const NAMES = new Map([
  [IMPORTANCE, "IMPORTANCE"], [HYPER_LATENT, "HYPER_LATENT"], [LATENT, "LATENT"],
  [TILES, "TILES"], [ALPHA, "ALPHA"], [ICC, "ICC"], [EXIF, "EXIF"], [XMP, "XMP"],
]);

/** @param {number} type */
export const sectionName = (type) =>
  NAMES.get(type) ?? `TYPE_0x${type.toString(16).toUpperCase().padStart(2, "0")}`;

/** Name and position for messages. @param {number} type @param {number} offset */
export const sectionPlace = (type, offset) => `section ${sectionName(type)} at byte ${offset}`;

/** Throws unless these sections make a file that can be read. @param {number[]} types */
export function checkSections(types) {
  const tiled = types.includes(TILES);
  types.forEach((type, place) => {
    const name = sectionName(type);
    if (types.indexOf(type) < place) {
      throw new RdcError(`section ${name} occurs twice: the file was put together wrongly`);
    }
    if (!NAMES.has(type) && type < OPTIONAL) {
      throw new RdcError(`the file needs section ${name}, unknown here: upgrade rdc_jax`);
    }
    if (tiled && (type === HYPER_LATENT || type === LATENT)) {
      throw new RdcError(`sections TILES and ${name} are in one file: it was put together wrongly`);
    }
  });
  for (const type of tiled ? [IMPORTANCE] : [IMPORTANCE, HYPER_LATENT, LATENT]) {
    if (!types.includes(type)) {
      throw new RdcError(`section ${sectionName(type)} is missing: the file is not complete`);
    }
  }
}

/**
 * Throws if an optional section is longer than the format allows.
 * @param {number} height of the image, pixels
 * @param {number} width of the image, pixels
 * @param {[number, number][]} lengths type and payload bytes of each section
 */
export function checkLengths(height, width, lengths) {
  const stored = height * (width + 1);  // an alpha plane as an uncompressed PNG
  const alpha = stored + Math.floor(stored / 64) + 2 ** 16;
  for (const [type, length] of lengths) {
    const metadata = type === ICC || type === EXIF || type === XMP;
    const most = type === ALPHA ? alpha : metadata ? MAX_METADATA_BYTES : length;
    if (length > most) {
      const size = `${length} bytes, more than the ${most} allowed`;
      throw new RdcError(`section ${sectionName(type)} has ${size}: leave it out`);
    }
  }
}

/**
 * Type and length of the section at `offset`. The payload may reach beyond the file.
 * @param {Uint8Array} data bytes from `offset` on
 * @param {number} offset position in the file
 * @returns {[number, number, number]} type, begin and end of the payload in the file
 */
export function readFrame(data, offset) {
  if (!data.length) {
    throw new RdcError(
      `the file is truncated: a section is missing at byte ${offset}, fetch the file again`);
  }
  const [length, size] = readVarint(data, 1, sectionPlace(data[0], offset));
  return [data[0], offset + size, offset + size + length];
}

/**
 * Throws if the file goes on after its last section.
 * @param {number} position
 * @param {number} size
 */
export function checkEnd(position, size) {
  if (position !== size) {
    throw new RdcError(
      `${size - position} bytes follow the last section: the file is damaged or joined with ` +
      "another one");
  }
}
