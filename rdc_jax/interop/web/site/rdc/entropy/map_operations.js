// Operations between the layers of an integer network. All are exact.

import { maps } from "./layers.js";

/** @typedef {import("./layers.js").Maps} Maps */

/**
 * Rounded means over factor x factor areas.
 * @param {Maps} x
 * @param {number} factor
 * @returns {Maps}
 */
export function areaPool(x, factor) {
  const out = maps(x.h / factor, x.w / factor, x.c), count = factor * factor;
  for (let y = 0; y < x.h; y++) {
    for (let u = 0; u < x.w; u++) {
      const to = (Math.floor(y / factor) * out.w + Math.floor(u / factor)) * x.c;
      for (let c = 0; c < x.c; c++) out.data[to + c] += x.data[(y * x.w + u) * x.c + c];
    }
  }
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = Math.floor((out.data[i] + count / 2) / count);
  }
  return out;
}

/** [h,w,4 n] to [2 h,2 w,n]. @param {Maps} x @returns {Maps} */
export function depthToSpace(x) {
  const n = x.c / 4, out = maps(2 * x.h, 2 * x.w, n);
  for (let y = 0; y < x.h; y++) {
    for (let u = 0; u < x.w; u++) {
      for (let part = 0; part < 4; part++) {
        const from = (y * x.w + u) * x.c + part * n;
        const to = ((2 * y + (part >> 1)) * out.w + 2 * u + (part & 1)) * n;
        for (let c = 0; c < n; c++) out.data[to + c] = x.data[from + c];
      }
    }
  }
  return out;
}

/** Channels of a, then those of b. @param {Maps} a @param {Maps} b @returns {Maps} */
export function joined(a, b) {
  const out = maps(a.h, a.w, a.c + b.c);
  for (let p = 0; p < a.h * a.w; p++) {
    for (let c = 0; c < a.c; c++) out.data[p * out.c + c] = a.data[p * a.c + c];
    for (let c = 0; c < b.c; c++) out.data[p * out.c + a.c + c] = b.data[p * b.c + c];
  }
  return out;
}

/**
 * The first rows and columns.
 * @param {Maps} x
 * @param {number} h
 * @param {number} w
 * @returns {Maps}
 */
export function cropped(x, h, w) {
  if (h === x.h && w === x.w) return x;
  const out = maps(h, w, x.c);
  for (let y = 0; y < h; y++) {
    out.data.set(x.data.subarray(y * x.w * x.c, (y * x.w + w) * x.c), y * w * x.c);
  }
  return out;
}

/** The pixels at some places, [P, c]. @param {Maps} x @param {Int32Array} places */
export function pixelsAt(x, places) {
  const out = new Float64Array(places.length * x.c);
  for (let p = 0; p < places.length; p++) {
    for (let c = 0; c < x.c; c++) out[p * x.c + c] = x.data[places[p] * x.c + c];
  }
  return out;
}

/**
 * The pixels of each pass, as y * w + x: even row and column, odd row and column, all others.
 * @param {number} h
 * @param {number} w
 * @returns {Int32Array[]}
 */
export function checkerboardPasses(h, w) {
  /** @type {number[][]} */
  const passes = [[], [], []];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) passes[y % 2 === x % 2 ? y % 2 : 2].push(y * w + x);
  }
  return passes.map((places) => Int32Array.from(places));
}
