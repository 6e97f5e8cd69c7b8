// Reads the files of the exported folder and checks their hashes.

import { RdcError } from "./errors.js";

export const ROOT = new URL("../", import.meta.url);
const MANIFEST = "manifest.json";

/** @type {Promise<Record<string, string>> | null} */
let hashes = null;

/** @param {string} name */
async function fetched(name) {
  /** @type {Response} */
  let answer;
  try {
    // Asks whether a kept copy is still right: an old one beside new files would not fit.
    answer = await fetch(new URL(name, ROOT), { cache: "no-cache" });
  } catch {
    throw new RdcError(`cannot fetch ${name}: check the connection and try again`);
  }
  if (!answer.ok) throw new RdcError(`cannot fetch ${name}: the server answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** SHA-256 of all files, by name. */
function manifest() {
  hashes ??= fetched(MANIFEST).then((json) => JSON.parse(new TextDecoder().decode(json)).sha256);
  hashes.catch(() => { hashes = null; });
  return hashes;
}

/**
 * A file of the folder. Its hash is checked where the browser can: on https and localhost.
 * @type {import("./decoding/model.js").Read}
 */
export async function readFolder(name) {
  const [data, known] = await Promise.all([fetched(name), manifest()]);
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const hash = Array.from(digest, (x) => x.toString(16).padStart(2, "0")).join("");
    if (hash !== known[name]) {
      throw new RdcError(`${name} is not the exported file: reload the page, or export it again`);
    }
  }
  return data;
}

/** Whether the folder was exported with a file. @param {string} name */
export const inFolder = async (name) => name in await manifest();
