// An alpha plane: an 8-bit grey PNG file that is not interlaced. The rules and messages are those of
// rdc_jax/images/alpha_png.py.

import { crc32 } from "../bitstream/framing.js";
import { RdcError } from "../errors.js";

const START = [0x89, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82];  // up to IHDR
const HEADER_BYTES = 13;
const GREY_8 = [8, 0, 0, 0, 0];  // bit depth, colour type, compression, filter, not interlaced
const ANCILLARY = 0x20;  // bit of the first letter of a chunk's name; PNG readers ignore such chunks

const damage = (/** @type {string} */ reason) =>
  new RdcError(`the alpha plane is damaged: ${reason}`);

/**
 * Decodes an alpha plane. Size and type are checked before anything is decompressed.
 * @param {Uint8Array} data the PNG file
 * @param {number} height that the plane must have
 * @param {number} width that the plane must have
 * @returns {Promise<Uint8Array>} [height * width], 255 is opaque
 */
export async function decodeAlpha(data, height, width) {
  checkHeader(data, height, width);
  const stride = width + 1;
  const rows = await inflated(imageData(data), height * stride);
  for (let y = 0; y < height; y++) {
    if (rows[y * stride] > 4) throw damage(`filter ${rows[y * stride]}`);
  }
  const plane = new Uint8Array(height * width);
  let above = new Uint8Array(width);
  for (let y = 0; y < height; y++) {
    const row = plane.subarray(y * width, (y + 1) * width);
    unfilter(rows[y * stride], rows.subarray(y * stride + 1, (y + 1) * stride), above, row);
    above = row;
  }
  return plane;
}

/** @param {Uint8Array} data @param {number} height @param {number} width */
function checkHeader(data, height, width) {
  const start = START.length;
  if (data.length < start + HEADER_BYTES || !START.every((octet, i) => data[i] === octet)) {
    throw new RdcError("the alpha plane is not a PNG file; the file is damaged");
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const found = [view.getUint32(start), view.getUint32(start + 4)];
  if (found[0] !== width || found[1] !== height) {
    throw new RdcError(
      `the alpha plane has ${found[0]} x ${found[1]} pixels, the image ${width} x ${height}; ` +
      "the file is damaged");
  }
  if (!GREY_8.every((octet, i) => data[start + 8 + i] === octet)) {
    throw new RdcError("the alpha plane is not an 8-bit grey PNG; the file is damaged");
  }
}

/** The zlib stream in the first run of IDAT chunks. Nothing behind it is read. @param {Uint8Array} data */
function imageData(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  /** @type {Uint8Array[]} */
  const parts = [];
  for (let at = 8; at + 12 <= data.length;) {
    const end = at + 8 + view.getUint32(at);
    const name = String.fromCharCode(...data.subarray(at + 4, at + 8));
    if (name === "IEND" || (parts.length && name !== "IDAT")) break;
    if (end + 4 > data.length) throw damage("it ends early");
    if (crc32(data.subarray(at + 4, end)) !== view.getUint32(end)) throw damage("CRC-32 mismatch");
    if (name === "IHDR" && at > 8) throw damage("it has two headers");
    if (name !== "IHDR" && name !== "IDAT" && !(data[at + 4] & ANCILLARY)) {
      throw damage("it has an unknown critical chunk");
    }
    if (name === "IDAT") parts.push(data.subarray(at + 8, end));
    at = end + 4;
  }
  return parts;
}

/**
 * A whole zlib stream, which must give `size` bytes.
 * @param {Uint8Array[]} parts
 * @param {number} size
 */
async function inflated(parts, size) {
  const coded = new Uint8Array(await new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer());
  const stream = new Blob([coded]).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader(), result = new Uint8Array(size);
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) {
        reader.cancel().catch(() => {});
        throw damage("it is longer than the image");
      }
      result.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    throw error instanceof RdcError ? error : damage("it does not decompress");
  }
  // Some engines ignore what follows the stream. Its last four bytes are its checksum.
  const end = coded.length >= 4 && new DataView(coded.buffer).getUint32(coded.length - 4);
  if (end !== adler32(result.subarray(0, filled))) throw damage("it does not decompress");
  if (filled < size) throw damage("it ends early");
  return result;
}

/** @param {Uint8Array} data */
function adler32(data) {
  let a = 1, b = 0;
  for (let at = 0; at < data.length;) {
    for (const end = Math.min(data.length, at + 3800); at < end; at++) {
      a += data[at];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
}

/**
 * Undoes the filter of one row.
 * @param {number} kind 0 none, 1 left, 2 up, 3 mean of both, 4 Paeth
 * @param {Uint8Array} coded
 * @param {Uint8Array} above the row above
 * @param {Uint8Array} row is written
 */
function unfilter(kind, coded, above, row) {
  let left = 0, corner = 0;
  for (let x = 0; x < row.length; x++) {
    const up = above[x];
    let guess = 0;
    if (kind === 1) guess = left;
    else if (kind === 2) guess = up;
    else if (kind === 3) guess = (left + up) >> 1;
    else if (kind === 4) guess = paeth(left, up, corner);
    row[x] = coded[x] + guess;  // modulo 256
    left = row[x];
    corner = up;
  }
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const p = left + up - corner;
  const toLeft = Math.abs(p - left), toUp = Math.abs(p - up), toCorner = Math.abs(p - corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
