// Golden files decode to the integers that Python wrote beside them. Run by test_symbols.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { bytes, load, readModel, symbolHash } from "./models.mjs";

const { openFile } = await load("decoding/opened_file.js");
const { philox } = await load("entropy/dither.js");
const { integerLog2 } = await load("entropy/mean_scale_network.js");

const FOLDER = process.env.RDC_TEST_FOLDER;
const { cases, logarithms, thresholds } = JSON.parse(readFileSync(path.join(FOLDER, "cases.json")));
const models = new Map();

/** A file of raw little-endian numbers. */
const numbers = (name, Kind) => new Kind(bytes(path.join(FOLDER, name)).buffer);

for (const { name, file, model: folder, hash } of cases) {
  test(name, () => {
    if (!models.has(folder)) models.set(folder, readModel(folder));
    const model = models.get(folder), opened = openFile(bytes(file), model);
    assert.deepEqual(opened.grid, numbers(`${name}.map`, Uint8Array));

    const symbols = [];
    assert.equal(symbolHash(opened, model.entropy, (pass) => symbols.push(...pass)), hash);
    assert.deepEqual(Int32Array.from(symbols), numbers(`${name}.symbols`, Int32Array));

    const { height, width } = opened.conditions;
    const whole = { top: 0, left: 0, bottom: height, right: width };
    const latent = opened.latents.window(model.entropy, whole);
    for (const part of ["yhat", "mean"]) {
      assert.deepEqual(latent[part], numbers(`${name}.${part}`, Float32Array), part);
    }
    // Powers of two with a fraction may differ in the last bit.
    const scales = numbers(`${name}.scale`, Float32Array);
    assert.ok(latent.scale.every((scale, i) => Math.abs(scale / scales[i] - 1) < 1e-6), "scale");
  });
}

test("the check value of the document", () => {
  const counter = new Uint32Array(4);
  philox(counter, 0, 0);
  assert.deepEqual([...counter], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
});

test("logarithms of integers up to 2^40", () => {
  assert.deepEqual(
    logarithms.map(([value]) => integerLog2(value, thresholds)),
    logarithms.map(([, expected]) => expected));
});
