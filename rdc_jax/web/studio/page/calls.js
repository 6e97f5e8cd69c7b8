// Requests to the server; every failure is an Error with one line for the user.

const LARGEST = 64 * 2 ** 20;

// Thrown when the user, or a newer request, has stopped a request.
export class Stopped extends Error {}

async function call(path, kind, body, { signal, name } = {}) {
  const headers = { "Content-Type": kind };
  if (name) headers["Rdc-Name"] = encodeURIComponent(name.slice(-200));
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", headers, body, signal });
  } catch {
    if (signal?.aborted) throw new Stopped();
    throw new Error("No answer. Is the studio still running? Start it again and reload.");
  }
  if (answer.ok) return answer;
  let line = `The studio answered ${answer.status}.`;
  try { line = (await answer.json()).error; } catch { /* not an answer of the studio */ }
  if (signal?.aborted) throw new Stopped();
  throw new Error(line);
}

// The content of an answer; a request may also be stopped while its answer arrives.
async function content(answer, kind, signal) {
  try {
    return await answer[kind]();
  } catch (error) {
    throw signal?.aborted ? new Stopped() : error;
  }
}

const json = (path, asked, signal) => call(path, "application/json", JSON.stringify(asked), { signal });

async function bytes(path, file, signal) {
  const { name } = file;
  if (file.size > LARGEST) {
    throw new Error(`'${name}' is larger than 64 MiB; use rdc encode or rdc decode.`);
  }
  const answer = await call(path, "application/octet-stream", file, { signal, name });
  return content(answer, "json", signal);
}

export const state = async () => (await call("/state")).json();
export const addPhoto = (file, signal) => bytes("/photo", file, signal);
export const openFile = (file, signal) => bytes("/open", file, signal);
export const demoPhoto = async () => (await json("/demo", {})).json();
export const encode = async (asked, signal) =>
  content(await json("/encode", asked, signal), "json", signal);
export const faces = async (asked) => (await json("/faces", asked)).json();
export const progress = async (asked) => (await json("/progress", asked)).json();
export const stop = (asked) => json("/stop", asked);
export const fileBlob = async (asked) => (await json("/file", asked)).blob();

const figures = (answer) => JSON.parse(answer.headers.get("Rdc-Figures"));

// A mask of one byte per cell, and what the detectors found.
export async function suggestedMask(asked, signal) {
  const answer = await json("/mask", asked, signal);
  return { figures: figures(answer), mask: new Uint8Array(await content(answer, "arrayBuffer", signal)) };
}

// A picture as a PNG, and its figures.
async function picture(path, asked, signal) {
  const answer = await json(path, asked, signal);
  return { figures: figures(answer), blob: await content(answer, "blob", signal) };
}

export const decode = (asked, signal) => picture("/decode", asked, signal);
export const compare = (asked, signal) => picture("/compare", asked, signal);
