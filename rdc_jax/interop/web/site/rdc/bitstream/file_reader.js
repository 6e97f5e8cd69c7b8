// The sections of a file. Every length is checked against the bytes that are left.

import { CRC_BYTES, crcFits, damaged, truncated } from "./framing.js";
import { MAX_HEADER_BYTES, readHeader } from "./header.js";
import {
  MAX_FRAME_BYTES, TILES, checkEnd, checkLengths, checkSections, readFrame, sectionPlace,
} from "./sections.js";

/** @typedef {{offset: number, begin: number, end: number}} Place a section; its payload's ends */

/** A file whose sections are read, and their CRC checked, on request. */
export class FileReader {
  /**
   * Reads the header and the list of sections.
   * @param {Uint8Array} data the file
   * @param {object} options
   * @param {number} options.maxPixels images with more pixels are refused
   * @param {boolean} [options.cutOff] accept a file that ends within its section TILES
   */
  constructor(data, { maxPixels, cutOff = false }) {
    this.data = data;
    const [header, count, begin] = readHeader(data.subarray(0, MAX_HEADER_BYTES), maxPixels);
    this.header = header;
    /** @type {Map<number, Place>} */
    this.places = new Map();
    this.lostSections = 0;
    const types = [];
    let position = begin;
    for (let i = 0; i < count; i++) {
      const frame = data.subarray(position, position + MAX_FRAME_BYTES);
      const [type, first, end] = readFrame(frame, position);
      types.push(type);
      this.places.set(type, { offset: position, begin: first, end });
      if (end + CRC_BYTES > data.length) {
        if (!(cutOff && type === TILES)) throw truncated(sectionPlace(type, position));
        position = data.length;
        this.lostSections = count - types.length;
        break;
      }
      position = end + CRC_BYTES;
    }
    checkEnd(position, data.length);
    checkSections(types);
    const lengths = [...this.places].map(([type, p]) => [type, p.end - p.begin]);
    checkLengths(header.height, header.width, /** @type {[number, number][]} */ (lengths));
  }

  /** The payload of a section that the file has. @param {number} type @returns {Uint8Array} */
  payload(type) {
    const { offset, begin, end } = /** @type {Place} */ (this.places.get(type));
    const complete = end + CRC_BYTES <= this.data.length;
    if (!complete || !crcFits(this.data, offset, end)) {
      throw damaged(sectionPlace(type, offset), "CRC-32 mismatch");
    }
    return this.data.subarray(begin, end);
  }
}
