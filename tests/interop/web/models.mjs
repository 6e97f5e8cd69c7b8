// Model folders as the modules want them, and symbols with their hash as `rdc decode` prints it.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";

const SITE = new URL("../../../rdc_jax/interop/web/site/rdc/", import.meta.url);

/** Imports a module of the page. */
export const load = (name) => import(new URL(name, SITE));

const { EntropyModel } = await load("entropy/entropy_model.js");
const { readSafetensors } = await load("entropy/safetensors.js");

export const bytes = (file) => new Uint8Array(readFileSync(file));

/** {modelId, numLevels, downsampling, entropy} of a model folder. */
export function readModel(folder) {
  const config = JSON.parse(readFileSync(path.join(folder, "config.json"))).model;
  const manifest = createHash("sha256").update(bytes(path.join(folder, "manifest.json")));
  const file = bytes(path.join(folder, "entropy.safetensors"));
  return {
    modelId: manifest.digest("hex").slice(0, 16),
    numLevels: config.num_levels,
    downsampling: config.autoencoder.kind === "gdn" ? 16 : 8,
    entropy: new EntropyModel(readSafetensors(file.buffer)),
  };
}

/** Hash of the symbols of an opened file; `onSymbols` is given those of each pass. */
export function symbolHash(opened, entropy, onSymbols = () => {}) {
  const digest = (decode) => {
    const hash = createHash("sha256");
    decode((symbols) => {
      onSymbols(symbols);
      hash.update(new Uint8Array(symbols.buffer, symbols.byteOffset, symbols.byteLength));
    });
    return hash.digest();
  };
  const { latents } = opened;
  if (latents.tileSide === null) return digest((on) => latents.decode(entropy, on)).toString("hex");
  const all = createHash("sha256");
  for (let number = 0; number < latents.count; number++) {
    all.update(digest((on) => latents.tile(entropy, number, on)));
  }
  return all.digest("hex");
}
