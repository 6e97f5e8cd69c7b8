// Decodes many files and prints what became of each, one JSON line per file. Run by fuzz.py.
//
//     node outcomes.mjs FOLDER     FOLDER/files.json, FOLDER/files.bin -> {hash} or {refused}, {ms}

import { readFileSync } from "node:fs";
import path from "node:path";

import { bytes, load, readModel, symbolHash } from "./models.mjs";

const { openFile } = await load("decoding/opened_file.js");
const { RdcError } = await load("errors.js");

const folder = process.argv[2];
const { models, files, maxPixels } = JSON.parse(readFileSync(path.join(folder, "files.json")));
const loaded = models.map(readModel), all = bytes(path.join(folder, "files.bin"));
let at = 0;
for (const { model, size } of files) {
  const data = all.slice(at, at += size), start = performance.now();
  let outcome;
  try {
    const opened = openFile(data, loaded[model], { maxPixels });
    outcome = { hash: symbolHash(opened, loaded[model].entropy) };
  } catch (error) {
    if (!(error instanceof RdcError)) throw error;  // a defect of the page: end with its stack
    outcome = { refused: error.message };
  }
  console.log(JSON.stringify({ ...outcome, ms: performance.now() - start }));
}
