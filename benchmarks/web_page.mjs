// CPU seconds of decoding in one thread of Node.js, as JSON. See web_page.py.
//
//     node benchmarks/web_page.mjs SITE PHOTO.rdc REPEATS

import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, photo, repeats] = process.argv.slice(2);
const exported = (name) => import(pathToFileURL(path.join(site, name)));
const { decodeFile } = await exported("rdc/decoding/decoder.js");
const { loadModel } = await exported("rdc/decoding/model.js");
const { windowFunction } = await exported("rdc/decoding/networks.js");
const { Runtime, WASM } = await exported("rdc/decoding/runtime.js");

const read = async (name) => new Uint8Array(readFileSync(path.join(site, name)));
const file = new Uint8Array(readFileSync(photo));
const model = await loadModel(read);
const runtime = new Runtime(model, read, exported, WASM);

async function cpuSeconds(tau) {
  const before = process.cpuUsage();
  await decodeFile(file, model, (sampling) => windowFunction(model, runtime, sampling), { tau });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const found = {};
for (const [name, tau] of [["tau 0", 0], ["tau of the file", undefined]]) {
  await cpuSeconds(tau);  // loads and compiles
  found[name] = [];
  for (let i = 0; i < Number(repeats); i++) found[name].push(await cpuSeconds(tau));
}
console.log(JSON.stringify(found));
process.exit(0);
