// Images of any size through square windows that overlap and are cross-faded.
// The arithmetic is float32, as in rdc_jax/decoding/windows.py.

/** @typedef {import("../bitstream/tile_index.js").Window} Window */

const { fround } = Math;

/** @param {number} x */
function roundHalfEven(x) {
  const below = Math.floor(x), rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
}

/**
 * First positions of as few windows as cover a length, evenly spread.
 * @param {number} length
 * @param {number} window
 * @param {number} overlap
 */
export function windowStarts(length, window, overlap) {
  if (length <= window) return [0];
  const count = 1 + Math.ceil((length - window) / (window - overlap));
  const last = length - window;
  return Array.from({ length: count }, (_, i) => roundHalfEven(i * last / (count - 1)));
}

/**
 * Weights along one side of a window; at an edge of the image it counts fully.
 * @param {number} window
 * @param {number} overlap
 * @param {boolean} atStart
 * @param {boolean} atEnd
 */
function crossfade(window, overlap, atStart, atEnd) {
  const ramp = (/** @type {number} */ i) => Math.min(1, fround((i + 0.5) / Math.max(overlap, 1)));
  return Float32Array.from({ length: window }, (_, i) =>
    (atStart ? 1 : ramp(i)) * (atEnd ? 1 : ramp(window - 1 - i)));
}

/** Where the windows lie. Positions are in latent pixels, `area`, `side` and `fade` in pixels. */
export class Layout {
  /**
   * @param {{h: number, w: number}} size of the latent
   * @param {number} window side, latent pixels
   * @param {number} overlap latent pixels
   * @param {number} scale pixels per latent pixel
   * @param {Window} area the wanted part of the image
   */
  constructor({ h, w }, window, overlap, scale, area) {
    this.allRows = windowStarts(h, window, overlap);
    this.allColumns = windowStarts(w, window, overlap);
    /** @param {number[]} starts @param {number} begin @param {number} end */
    const touching = (starts, begin, end) => starts.filter(
      (start) => start * scale < end && (start + window) * scale > begin);
    this.rows = touching(this.allRows, area.top, area.bottom);
    this.columns = touching(this.allColumns, area.left, area.right);
    this.area = area;
    this.scale = scale;
    this.side = window * scale;
    this.fade = overlap * scale;
  }

  /**
   * Weights of a window from top to bottom, and from left to right.
   * @param {number} row
   * @param {number} column
   */
  weights(row, column) {
    const [down, across] = [[row, this.allRows], [column, this.allColumns]].map(([at, all]) => {
      const places = /** @type {number[]} */ (all);
      return crossfade(this.side, this.fade, at === places[0], at === places[places.length - 1]);
    });
    return { down, across };
  }
}

/** Weighted sums of a row of windows, and of what the row above left unfinished. */
export class Sums {
  #layout;
  #width;
  #total;
  #weight;

  /** @param {Layout} layout */
  constructor(layout) {
    const { columns, side, scale } = layout;
    this.#layout = layout;
    this.#width = (columns[columns.length - 1] - columns[0]) * scale + side;
    this.#total = new Float32Array(side * this.#width * 3);
    this.#weight = new Float32Array(side * this.#width);
  }

  /**
   * Adds the result of one window, float32 [side,side,3].
   * @param {Float32Array} result
   * @param {number} row
   * @param {number} column
   */
  add(result, row, column) {
    const { columns, side, scale } = this.#layout, width = this.#width;
    const { down, across } = this.#layout.weights(row, column);
    const total = this.#total, weights = this.#weight, begin = (column - columns[0]) * scale;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const weight = fround(down[y] * across[x]), to = y * width + begin + x;
        weights[to] += weight;
        for (let c = 0; c < 3; c++) {
          total[3 * to + c] += fround(weight * result[3 * (y * side + x) + c]);
        }
      }
    }
  }

  /**
   * The wanted rows that no later window has a part in, float32 [n,w,3]. Moves the others up.
   * @param {number} row first row of the windows added last
   * @param {number | null} after that of the next ones, null at the end
   */
  finished(row, after) {
    const { area, side, scale, columns } = this.#layout, width = this.#width;
    const done = after === null ? side : (after - row) * scale;
    const inside = (/** @type {number} */ edge) =>
      Math.min(Math.max(edge - row * scale, 0), done);
    const first = inside(area.top), last = inside(area.bottom), w = area.right - area.left;
    const begin = area.left - columns[0] * scale;
    const rows = new Float32Array(Math.max(0, last - first) * w * 3);
    for (let y = first, to = 0; y < last; y++) {
      for (let x = 0; x < w; x++) {
        const from = y * width + begin + x;
        for (let c = 0; c < 3; c++) rows[to++] = this.#total[3 * from + c] / this.#weight[from];
      }
    }
    for (const [sums, channels] of /** @type {const} */ ([[this.#total, 3], [this.#weight, 1]])) {
      sums.copyWithin(0, done * width * channels);
      sums.fill(0, (side - done) * width * channels);
    }
    return rows;
  }
}

/**
 * A part of an array [h,w,c] as [side,side,c]: pixels beyond its end repeat the last ones.
 * @template {Float32Array | Uint8Array} T
 * @param {T} data
 * @param {number} h
 * @param {number} w
 * @param {number} c
 * @param {number} left first column
 * @param {number} side
 * @returns {T}
 */
export function square(data, h, w, c, left, side) {
  const Kind = /** @type {new (n: number) => T} */ (data.constructor);
  const out = new Kind(side * side * c);
  for (let y = 0; y < side; y++) {
    const from = Math.min(y, h - 1) * w;
    for (let x = 0; x < side; x++) {
      const at = (from + Math.min(left + x, w - 1)) * c;
      for (let k = 0; k < c; k++) out[(y * side + x) * c + k] = data[at + k];
    }
  }
  return out;
}
