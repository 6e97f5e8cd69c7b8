// Whole files with the exported graphs, in onnxruntime-web, one thread. Run by test_networks.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { bytes } from "./models.mjs";

const FOLDER = process.env.RDC_TEST_FOLDER;
const { site, cases } = JSON.parse(readFileSync(path.join(FOLDER, "cases.json")));
const exported = (name) => import(pathToFileURL(path.join(site, name)));
const { decodeFile } = await exported("rdc/decoding/decoder.js");
const { loadModel } = await exported("rdc/decoding/model.js");
const { windowFunction } = await exported("rdc/decoding/networks.js");
const { Runtime, WASM } = await exported("rdc/decoding/runtime.js");

const read = async (name) => bytes(path.join(site, name));
const model = await loadModel(read);
const runtime = new Runtime(model, read, exported, WASM);

for (const { name, file, tau } of cases) {
  test(name, async () => {
    const image = await decodeFile(
      bytes(path.join(FOLDER, file)), model, (s) => windowFunction(model, runtime, s), { tau });
    const expected = bytes(path.join(FOLDER, `${name}.rgb`)), pixels = expected.length / 3;
    assert.equal(image.data.length, 4 * pixels);
    let near = 0;
    for (let p = 0; p < pixels; p++) {
      for (let c = 0; c < 3; c++) {
        near += Math.abs(image.data[4 * p + c] - expected[3 * p + c]) <= 1;
      }
    }
    assert.ok(near >= 0.999 * expected.length, `${expected.length - near} samples differ by more`);
  });
}
