// Windows, borders of tiles, crops, damage and alpha, with a simple function in place of the
// networks. The pixels equal those that Python wrote. Run by test_pixels.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { bytes, load, readModel } from "./models.mjs";

const { decodeFile } = await load("decoding/decoder.js");

const FOLDER = process.env.RDC_TEST_FOLDER;
const cases = JSON.parse(readFileSync(path.join(FOLDER, "cases.json")));
const models = new Map();

/** The function of test_pixels.py, in the same arithmetic. */
function simple(f) {
  return async ({ side, channels, yhat, noise, levels, tau }) => {
    const n = f * side, picture = new Float32Array(n * n * 3);
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        const place = Math.floor(y / f) * side + Math.floor(x / f);
        const pattern = 90 + (7 * x + 13 * y) % 17 + 10 * levels[place] + 20 * tau[place];
        for (let c = 0; c < 3; c++) {
          const at = place * channels + c;
          picture[3 * (y * n + x) + c] = pattern + 3 * yhat[at] + 4 * noise[at];
        }
      }
    }
    return picture;
  };
}

for (const { name, file, model: folder, options, shape, damaged } of cases) {
  test(name, async () => {
    if (!models.has(folder)) models.set(folder, { ...readModel(folder), hasFusion: true });
    const model = models.get(folder), seen = [], progress = [];
    const image = await decodeFile(
      bytes(path.join(FOLDER, file)), model, async () => simple(model.downsampling), options,
      { onRows: (rows) => seen.push(rows), onProgress: (fraction) => progress.push(fraction) });
    assert.deepEqual([image.height, image.width], shape);
    const expected = bytes(path.join(FOLDER, `${name}.rgba`));
    assert.equal(image.data.length, expected.length);
    let differ = 0;
    image.data.forEach((value, i) => {
      assert.ok(Math.abs(value - expected[i]) <= 1, `sample ${i}: ${value}, not ${expected[i]}`);
      differ += value !== expected[i];
    });
    assert.ok(differ <= 1e-4 * expected.length, `${differ} samples differ by one`);
    assert.deepEqual(image.damaged, damaged);
    assert.equal(progress.at(-1), 1);
    assert.equal(seen.reduce((sum, { height }) => sum + height, 0), image.height);
    assert.ok(seen.every(({ height, pixels }) => pixels.length === 3 * height * image.width));
  });
}
