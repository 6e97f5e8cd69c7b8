// The page reads and refuses the alpha planes that the package does. Run by test_alpha.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { bytes, load } from "./models.mjs";

const { decodeAlpha } = await load("images/alpha_png.js");
const { RdcError } = await load("errors.js");

const FOLDER = process.env.RDC_TEST_FOLDER;
const { height, width, plane, cases } = JSON.parse(readFileSync(path.join(FOLDER, "cases.json")));

for (const { name, file, refused } of cases) {
  test(name, async () => {
    const decoded = decodeAlpha(bytes(path.join(FOLDER, file)), height, width);
    if (refused) await assert.rejects(decoded, new RdcError(refused));
    else assert.deepEqual([...await decoded], plane);
  });
}
