// A decoded image as a PNG file with its colour profile, which a browser applies when it draws it.

import { crc32 } from "../bitstream/framing.js";

/** @typedef {import("../decoding/decoder.js").DecodedImage} DecodedImage */

const SIGNATURE = Uint8Array.of(0x89, 80, 78, 71, 13, 10, 26, 10);

/** @param {string} text */
const latin = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** @param {number} value @returns {Uint8Array} big-endian */
const uint32 = (value) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

/** @param {string} name @param {Uint8Array[]} parts @returns {Uint8Array[]} */
function chunk(name, ...parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 4), content = new Uint8Array(size);
  content.set(latin(name));
  let at = 4;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return [uint32(size - 4), content, uint32(crc32(content))];
}

/** A zlib stream. @param {Uint8Array} data */
async function deflated(data) {
  const stream = new Blob([/** @type {BlobPart} */ (data)]).stream()
    .pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Rows of the image's own channels, each with the filter "left". @param {DecodedImage} image */
function filteredRows({ width, height, data, isGrey, hasAlpha }) {
  const from = [...(isGrey ? [0] : [0, 1, 2]), ...(hasAlpha ? [3] : [])], n = from.length;
  const rows = new Uint8Array(height * (1 + width * n));
  for (let y = 0, to = 0; y < height; y++) {
    rows[to++] = 1;
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      for (const c of from) rows[to++] = data[at + c] - (x ? data[at - 4 + c] : 0);
    }
  }
  return rows;
}

/**
 * @param {DecodedImage} image
 * @returns {Promise<Blob>} an 8-bit PNG file with alpha, profile and Exif of the image
 */
export async function pngOf(image) {
  const type = (image.isGrey ? 0 : 2) + (image.hasAlpha ? 4 : 0);
  const header = [uint32(image.width), uint32(image.height), Uint8Array.of(8, type, 0, 0, 0)];
  const parts = [SIGNATURE, ...chunk("IHDR", ...header)];
  if (image.iccProfile) {
    parts.push(...chunk("iCCP", latin("ICC profile\0\0"), await deflated(image.iccProfile)));
  }
  if (image.exif) parts.push(...chunk("eXIf", image.exif));
  parts.push(...chunk("IDAT", await deflated(filteredRows(image))), ...chunk("IEND"));
  return new Blob(/** @type {BlobPart[]} */ (parts), { type: "image/png" });
}
