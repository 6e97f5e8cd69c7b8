// Decodes whole files: from bytes to an image with alpha and metadata.

import { ALPHA, EXIF, ICC, XMP } from "../bitstream/sections.js";
import { decodeAlpha } from "../images/alpha_png.js";
import { tileMessage } from "./latents.js";
import { openFile } from "./opened_file.js";
import { reconstruct } from "./reconstruction.js";
import { samplingOf } from "./sampling.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./sampling.js").Sampling} Sampling */

/**
 * @typedef {object} DecodeOptions
 * @property {import("./sampling.js").Tau} [tau] default: as the file suggests
 * @property {[number, number, number, number] | null} [crop] x, y, width, height in pixels
 * @property {boolean} [resilient] fill damaged tiles in
 * @property {number} [maxPixels] larger images are refused; default 2^28
 */

/**
 * @typedef {object} DecodedImage like an ImageData, with what the file says of its colours
 * @property {number} width
 * @property {number} height
 * @property {Uint8ClampedArray} data RGBA, not premultiplied
 * @property {"srgb"} colorSpace what `data` is to be taken for where iccProfile is null
 * @property {boolean} hasAlpha
 * @property {boolean} isGrey
 * @property {Uint8Array | null} iccProfile
 * @property {Uint8Array | null} exif
 * @property {Uint8Array | null} xmp
 * @property {string[]} damaged a line for each tile that was filled in
 */

/**
 * @param {Uint8Array} file
 * @param {Model} model
 * @param {(sampling: Sampling) => Promise<import("./reconstruction.js").WindowFunction>} networks
 * @param {DecodeOptions} options
 * @param {Parameters<typeof reconstruct>[4]} [hooks]
 * @returns {Promise<DecodedImage>}
 */
export async function decodeFile(file, model, networks, options = {}, hooks = {}) {
  const opened = openFile(file, model, options), { header, reader, area } = opened;
  const sampling = samplingOf(header, opened.conditions, model.numLevels, options.tau);
  const payload = (/** @type {number} */ type) =>
    reader.places.has(type) ? reader.payload(type) : null;
  const png = payload(ALPHA);
  const alpha = png && await decodeAlpha(png, header.height, header.width);
  const metadata = [ICC, EXIF, XMP].map((type) => payload(type)?.slice() ?? null);
  const window = await networks(sampling);
  const rgb = await reconstruct(opened, model, sampling, window, hooks);
  const width = area.right - area.left, height = area.bottom - area.top;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0, p = 0; p < width * height; p++, i += 4) {
    data[i] = rgb[3 * p];
    data[i + 1] = rgb[3 * p + 1];
    data[i + 2] = rgb[3 * p + 2];
    const y = area.top + Math.floor(p / width), x = area.left + p % width;
    data[i + 3] = alpha ? alpha[y * header.width + x] : 255;
  }
  const [iccProfile, exif, xmp] = metadata.map((m) => (m && m.length ? m : null));
  return {
    width, height, data, colorSpace: "srgb", hasAlpha: alpha !== null,
    isGrey: header.colourMode === 1, iccProfile, exif, xmp,
    damaged: opened.latents.damaged.map(tileMessage),
  };
}
