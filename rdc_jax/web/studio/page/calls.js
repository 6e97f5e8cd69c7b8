// Requests to the server; every failure is an Error with one line for the user.

const LARGEST = 64 * 2 ** 20;

async function call(path, kind, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {}
      : { method: "POST", headers: { "Content-Type": kind }, body });
  } catch {
    throw new Error("No answer. Is the studio still running? Start it again and reload.");
  }
  if (answer.ok) return answer;
  let line = `The studio answered ${answer.status}.`;
  try { line = (await answer.json()).error; } catch { /* not an answer of the studio */ }
  throw new Error(line);
}

const json = (path, asked) => call(path, "application/json", JSON.stringify(asked));

async function bytes(path, file) {
  if (file.size > LARGEST) throw new Error("This file is larger than 64 MiB; use rdc encode or rdc decode.");
  return (await call(path, "application/octet-stream", file)).json();
}

export const state = async () => (await call("/state")).json();
export const addPhoto = (file) => bytes("/photo", file);
export const openFile = (file) => bytes("/open", file);
export const demoPhoto = async () => (await json("/demo", {})).json();
export const encode = async (asked) => (await json("/encode", asked)).json();
export const fileBlob = async (asked) => (await json("/file", asked)).blob();

const figures = (answer) => JSON.parse(answer.headers.get("Rdc-Figures"));

// A mask of one byte per cell, and what the detectors found.
export async function suggestedMask(asked) {
  const answer = await json("/mask", asked);
  return { figures: figures(answer), mask: new Uint8Array(await answer.arrayBuffer()) };
}

// The decoded image as a PNG, and its figures.
export async function decode(asked) {
  const answer = await json("/decode", asked);
  return { figures: figures(answer), blob: await answer.blob() };
}
