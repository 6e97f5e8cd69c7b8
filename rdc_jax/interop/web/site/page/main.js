// The page: opens a file that is dropped, chosen, or named by ?src=, and shows it.

import { info } from "../rdc.js";
import { RESILIENT } from "../rdc/decoding/latents.js";
import { pngOf } from "../rdc/images/png.js";
import { Comparison } from "./comparison.js";
import { figuresOf, show } from "./figures.js";
import { isolate, keepAll } from "./isolation.js";
import { Stage } from "./stage.js";

const TAU_DELAY = 250;  // milliseconds without a move of the slider before the image follows

const get = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const first = /** @type {import("../rdc.js").RdcImage} */ (get("first"));
const stage = new Stage(get("pane"), get("stage"));
const comparison = new Comparison(fail);
let name = "";
/** @type {[string, string][]} */
let figures = [];

/** @param {string} message */
function fail(message) {
  get("error").textContent = message.replace(RESILIENT, "fill the damaged tiles in");
  get("error").hidden = false;
  get("fill-in").hidden = !message.includes(RESILIENT);
  get("progress").hidden = true;
  get("status").textContent = "";
}

function busy() {
  get("stage").hidden = false;
  get("error").hidden = get("fill-in").hidden = true;
  get("progress").hidden = false;
  get("progress").removeAttribute("value");
  get("status").textContent = "Decoding…";
}

/** Shows the bytes of a file. @param {Uint8Array} bytes @param {string} called */
function open(bytes, called) {
  let said;
  try {
    said = info(bytes);
  } catch (error) {
    fail(`${called}: ${error instanceof Error ? error.message : error}`);
    return;
  }
  name = called;
  comparison.end();
  busy();
  get("name").textContent = document.title = called;
  figures = figuresOf(said);
  show(get("figures"), figures);
  setTau(said.tau);
  get("empty").hidden = true;
  get("settings").disabled = false;
  get("save").disabled = true;
  first.removeAttribute("resilient");
  first.alt = called;
  first.tau = String(said.tau);
  first.file = bytes;
  stage.resize(said.width, said.height);
}

/** @param {number} tau */
function setTau(tau) {
  get("tau").value = tau;
  get("tau-value").textContent = tau.toFixed(2);
}

/** @param {File | undefined} file */
async function openFile(file) {
  if (file) open(new Uint8Array(await file.arrayBuffer()), file.name);
}

/** @param {string} src */
async function openAddress(src) {
  const called = src.split("/").pop() || src;
  try {
    const answer = await fetch(src);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    open(new Uint8Array(await answer.arrayBuffer()), called);
  } catch (error) {
    fail(`cannot open ${src}: ${error instanceof Error ? error.message : error}`);
  }
}

first.addEventListener("progress", (event) => {
  get("progress").value = /** @type {ProgressEvent} */ (event).loaded;
});
first.addEventListener("load", () => {
  get("progress").hidden = true;
  get("save").disabled = false;
  const damaged = first.image?.damaged.length ?? 0;
  const backend = first.image?.backend === "webgpu" ? "WebGPU" : "WebAssembly";
  show(get("figures"), [...figures, ["Decoded by", backend]]);
  get("status").textContent = damaged ? `Damaged tiles filled in: ${damaged}`
    : first.image?.iccProfile ? "Shown with its colour profile" : "";
  keepAll();
});
first.addEventListener("error", (event) => {
  get("stage").hidden = true;  // it is empty
  fail(`${name}: ${/** @type {ErrorEvent} */ (event).message}`);
});

let timer = 0;
get("tau").addEventListener("input", () => {
  const tau = get("tau").valueAsNumber;
  setTau(tau);
  clearTimeout(timer);
  timer = setTimeout(() => {
    busy();
    first.tau = String(tau);
    comparison.setAttribute("tau", String(tau));
  }, TAU_DELAY);
});
get("map").addEventListener("change", () => {
  const on = get("map").checked;
  first.toggleAttribute("map", on);
  comparison.setAttribute("map", on ? "" : null);
});

get("fill-in").addEventListener("click", () => {
  busy();
  first.setAttribute("resilient", "");
});
get("fit").addEventListener("click", () => stage.fit());
get("actual").addEventListener("click", () => stage.actual());
get("in").addEventListener("click", () => stage.zoomBy(1.5));
get("out").addEventListener("click", () => stage.zoomBy(1 / 1.5));
get("compare").addEventListener("click", () => get("other-file").click());
get("end-compare").addEventListener("click", () => comparison.end());
get("other-file").addEventListener("change", () => {
  const file = get("other-file").files[0];
  if (file) comparison.start(file);
  get("other-file").value = "";
});
for (const id of ["choose", "open"]) get(id).addEventListener("click", () => get("file").click());
get("file").addEventListener("change", () => {
  openFile(get("file").files[0]);
  get("file").value = "";
});
get("save").addEventListener("click", async () => {
  if (!first.image) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await pngOf(first.image));
  link.download = `${name.replace(/\.rdc$/, "")}.png`;
  link.click();
  URL.revokeObjectURL(link.href);
});

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.body.addEventListener(kind, (event) => {
    event.preventDefault();
    get("pane").classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openFile(/** @type {DragEvent} */ (event).dataTransfer?.files[0]);
  });
}

await isolate();
// Without a fusion module, tau has no effect.
fetch("model/model.json").then((answer) => answer.json()).then(({ graphs }) => {
  get("tau-controls").hidden = !("knob.onnx" in graphs);
}).catch(() => {});  // decoding says what is wrong
const src = new URLSearchParams(location.search).get("src");
if (src) openAddress(src);
