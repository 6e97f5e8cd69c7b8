// Numbers, checksums and error messages that all parts of the container share.

import { RdcError } from "../errors.js";

export const CRC_BYTES = 4;
export const MAX_VARINT_BYTES = 5;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let value = octet;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * The CRC-32 of zlib and PNG.
 * @param {Uint8Array} data
 * @returns {number} in 0..2^32 - 1
 */
export function crc32(data) {
  let value = 0xffffffff;
  for (let i = 0; i < data.length; i++) {
    value = CRC_TABLE[(value ^ data[i]) & 255] ^ (value >>> 8);
  }
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * Whether the CRC-32 of data[begin..end - 1] follows at `end`.
 * @param {Uint8Array} data
 * @param {number} begin
 * @param {number} end
 */
export function crcFits(data, begin, end) {
  return readUint32(data, end) === crc32(data.subarray(begin, end));
}

/** A little-endian number. @param {Uint8Array} data @param {number} at */
export const readUint16 = (data, at) => data[at] | (data[at + 1] << 8);

/** A little-endian number. @param {Uint8Array} data @param {number} at */
export const readUint32 = (data, at) =>
  (data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24)) >>> 0;

/**
 * Reads a number of one to five bytes, seven bits each, the least significant first.
 * @param {Uint8Array} data
 * @param {number} position
 * @param {string} where what holds the number, for the message
 * @returns {[number, number]} value below 2^35, and the position after it
 */
export function readVarint(data, position, where) {
  let value = 0;
  for (let place = 0; place < MAX_VARINT_BYTES; place++) {
    if (position + place >= data.length) throw truncated(where);
    const octet = data[position + place];
    value += (octet & 127) * 2 ** (7 * place);
    if (octet < 128) {
      if (place && !octet) break;
      return [value, position + place + 1];
    }
  }
  throw damaged(where, "malformed number");
}

/** The error for an incomplete part of a file. @param {string} where */
export const truncated = (where) =>
  new RdcError(`${where} is truncated: the file is not complete, fetch it again`);

/** The error for a damaged part of a file. @param {string} where @param {string} how */
export const damaged = (where, how) =>
  new RdcError(`${where} is damaged (${how}): fetch the file again`);
