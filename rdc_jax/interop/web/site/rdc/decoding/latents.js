// The latent of a file, whole or in tiles, as windows that the networks ask for.

import { onLatent, readStreams } from "../bitstream/tile_index.js";
import { conditionsOfTile } from "../entropy/conditions.js";
import { decodeLatent, missingLatent } from "../entropy/latent.js";
import { RdcError } from "../errors.js";

/** @typedef {import("../bitstream/tile_index.js").Window} Window */
/** @typedef {import("../entropy/conditions.js").Conditions} Conditions */
/** @typedef {import("../entropy/entropy_model.js").EntropyModel} EntropyModel */
/** @typedef {import("../entropy/latent.js").Latent} Latent */

/**
 * @typedef {object} DamagedTile
 * @property {number} number from 0
 * @property {number} count of the tiles of the file
 * @property {number} x left edge in pixels
 * @property {number} y top edge in pixels
 * @property {number} width in pixels
 * @property {number} height in pixels
 * @property {string} reason
 */

/** How a message names the way out of a damaged tile. */
export const RESILIENT = "decode with the option resilient";

/** @param {DamagedTile} tile */
export const tileMessage = (tile) =>
  `tile ${tile.number + 1} of ${tile.count} (pixels ${tile.x},${tile.y} to ` +
  `${tile.x + tile.width - 1},${tile.y + tile.height - 1}) is damaged (${tile.reason})`;

/** A latent in one piece. */
export class WholeLatent {
  tileSide = null;
  /** @type {DamagedTile[]} */
  damaged = [];
  /** @type {Latent | null} */
  #latent = null;

  /** @param {Conditions} conditions @param {() => Uint8Array[]} streams hyper-latent and latent */
  constructor(conditions, streams) {
    this.conditions = conditions;
    this.streams = streams;
  }

  /**
   * Reports the symbols of the only piece.
   * @param {EntropyModel} model
   * @param {(s: Int32Array) => void} [onSymbols]
   */
  decode(model, onSymbols) {
    const [hyper, latent] = this.streams();
    return decodeLatent(model, hyper, latent, this.conditions, onSymbols);
  }

  /**
   * The latent in a window.
   * @param {EntropyModel} model
   * @param {Window} window
   * @returns {Latent}
   */
  window(model, window) {
    this.#latent ??= this.decode(model);
    const whole = { top: 0, left: 0, bottom: this.#latent.h, right: this.#latent.w };
    return joined([[whole, this.#latent]], window, this.#latent.c);
  }
}

/** A latent in tiles, decoded when they are needed and kept as long as windows need them. */
export class TiledLatent {
  /** @type {DamagedTile[]} */
  damaged = [];
  /** @type {Map<number, Latent>} */
  #kept = new Map();

  /**
   * @param {Uint8Array} data the file
   * @param {Conditions} conditions of the whole image
   * @param {import("../bitstream/tile_index.js").Index} index in image pixels
   * @param {number} downsampling image pixels per latent pixel along a side
   * @param {boolean} resilient
   */
  constructor(data, conditions, index, downsampling, resilient) {
    this.data = data;
    this.conditions = conditions;
    this.pixels = index.grid;
    this.index = onLatent(index, downsampling);
    this.resilient = resilient;
    this.tileSide = index.grid.side;
    this.count = index.offsets.length;
  }

  /** Checks the CRC of all tiles. */
  check() {
    for (let number = 0; number < this.count; number++) {
      try {
        readStreams(this.data, this.index, number);
      } catch (error) {
        this.#refuse(number, error);
      }
    }
  }

  /**
   * @param {EntropyModel} model
   * @param {number} number
   * @param {(s: Int32Array) => void} [onSymbols]
   */
  tile(model, number, onSymbols) {
    const known = conditionsOfTile(this.conditions, this.index.grid.window(number));
    try {
      const [hyper, latent] = readStreams(this.data, this.index, number);
      return decodeLatent(model, hyper, latent, known, onSymbols);
    } catch (error) {
      this.#refuse(number, error);
    }
    return missingLatent(model, known);
  }

  /** Notes a damaged tile, or throws. @param {number} number @param {unknown} error */
  #refuse(number, error) {
    if (!(error instanceof RdcError)) throw error;
    const { top, bottom, left, right } = this.pixels.window(number);
    const tile = {
      number, count: this.count, x: left, y: top, width: right - left, height: bottom - top,
      reason: error.message,
    };
    if (!this.resilient) {
      throw new RdcError(
        `${tileMessage(tile)}: fetch the file again, or ${RESILIENT}`);
    }
    this.damaged.push(tile);
  }

  /**
   * The latent in a window. Drops tiles that it does not need.
   * @param {EntropyModel} model
   * @param {Window} window
   */
  window(model, window) {
    const needed = this.index.grid.covering(window);
    for (const number of this.#kept.keys()) {
      if (!needed.includes(number)) this.#kept.delete(number);
    }
    /** @type {[Window, Latent][]} */
    const tiles = needed.map((number) => {
      const latent = this.#kept.get(number) ?? this.tile(model, number);
      this.#kept.set(number, latent);
      return [this.index.grid.window(number), latent];
    });
    return joined(tiles, window, model.network.latentChannels);
  }
}

/**
 * A window of the latent from the pieces that cover it.
 * @param {[Window, Latent][]} pieces
 * @param {Window} wanted
 * @param {number} c
 * @returns {Latent}
 */
function joined(pieces, wanted, c) {
  const h = wanted.bottom - wanted.top, w = wanted.right - wanted.left;
  const [yhat, mean, scale] = [0, 1, 2].map(() => new Float32Array(h * w * c));
  for (const [place, latent] of pieces) {
    const left = Math.max(place.left, wanted.left), right = Math.min(place.right, wanted.right);
    const bottom = Math.min(place.bottom, wanted.bottom);
    for (let y = Math.max(place.top, wanted.top); y < bottom; y++) {
      const from = ((y - place.top) * latent.w + left - place.left) * c;
      const to = ((y - wanted.top) * w + left - wanted.left) * c, length = (right - left) * c;
      yhat.set(latent.yhat.subarray(from, from + length), to);
      mean.set(latent.mean.subarray(from, from + length), to);
      scale.set(latent.scale.subarray(from, from + length), to);
    }
  }
  return { h, w, c, yhat, mean, scale };
}
