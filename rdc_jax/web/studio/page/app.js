// The page: what is open, the state of the controls, and the requests that changes cause.

import * as calls from "./calls.js";
import { showFigures, showHeader } from "./figures.js";
import { Newest } from "./newest.js";
import { Painter } from "./painting.js";
import { View } from "./view.js";

const LARGE = 6e6;  // pixels; larger photos are encoded only by the button

const get = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;
const value = (id) => (get(id).value === "" ? null : Number(get(id).value));

let photo = null;  // {photo, width, height, alpha} from the server, null if only a file is open
let coded = null;  // answer of /encode or /open
let decoded = null;  // {blob, figures}
let limits = null;
let stem = "image";  // start of the names of saved files

const view = new View();
const newest = new Newest(work, (busy) => say(busy ? "working" : ""));
const painter = new Painter(get("paint"), get("ring"), brush, () => {
  get("found").textContent = "";
  changed("encode");
});

function brush() {
  return { radius: value("size") / 200, soft: value("soft") / 100, erase: chosen("tool") === "erase" };
}

function say(text) {
  get("busy").textContent = text;
  get("busy").classList.toggle("on", text !== "");
  get("look").setAttribute("aria-busy", String(text !== ""));
}

function complain(line) {
  get("problem").textContent = line;
  get("problem").hidden = !line;
}

// Runs an action of the user; an error is shown as one line.
async function attempt(text, action) {
  say(text);
  complain("");
  try {
    await action();
  } catch (error) {
    complain(error.message);
  }
  if (!newest.busy()) say("");
}

// Opening images

async function open(file) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const isCoded = head[0] === 0x9d && head[1] === 0x52 && head[2] === 0x44 && head[3] === 0x43;
  const name = file.name || "image";
  if (isCoded || /\.rdc$/i.test(name)) {
    const answer = await calls.openFile(file);
    begin(null, answer, name);
  } else {
    begin(await calls.addPhoto(file), null, name);
  }
}

function begin(newPhoto, newFile, name) {
  newest.drop();
  [photo, coded, decoded] = [newPhoto, newFile, null];
  stem = name.replace(/\.[^.]*$/, "") || "image";
  get("name").textContent = name;
  get("figures").hidden = true;
  get("saving").disabled = true;
  for (const id of ["importance", "coding"]) get(id).disabled = photo === null;
  if (photo) {
    get("live").checked = photo.width * photo.height <= LARGE;
    painter.reset(photo.width, photo.height);
    get("found").textContent = "";
    view.open(photo, `/photo/${photo.photo}`);
    controls();
    newest.want("encode");
  } else {
    view.open(coded, null);
    get("tau").value = coded.fields.default_tau;
    get("steps").value = Math.max(1, coded.fields.default_steps);
    take(coded);
    controls();
    newest.want("decode");
  }
}

// Requests to the codec

async function work(again) {
  if (again && !photo) return;
  complain(again || !coded ? "" : coded.note);
  try {
    const of = photo;
    if (again) {
      say("encoding");
      const answer = await calls.encode(settings());
      if (of !== photo) return;
      take(answer);
      complain(answer.note);
      if (newest.overtaken()) return;
    }
    if (!coded) return;
    say("decoding");
    const file = coded, answer = await calls.decode({ file: file.file, ...decoding() });
    if (file !== coded) return;
    decoded = answer;
    view.put("decoded", URL.createObjectURL(answer.blob));
    view.show();
    showFigures(coded, answer.figures);
    get("saving").disabled = false;
  } catch (error) {
    complain(error.message);
  }
}

function settings() {
  const rate = chosen("rate") === "quality" ? { quality: value("quality") }
    : { target_kb: value("target") ?? 0 };
  return { photo: photo.photo, roi_gain: value("gain"), mask: painter.sent(), ...rate };
}

function decoding() {
  const byMap = get("by-map").checked && coded.importance;
  return { tau: byMap ? "roi" : value("tau"), steps: value("steps") ?? 0 };
}

function take(answer) {
  coded = answer;
  view.put("bits", answer.bits, answer.extent);
  view.put("importance", answer.importance, answer.extent);
  view.show();
  showFigures(answer, null);
  showHeader(answer);
  get("go").disabled = true;
  controls();
}

function changed(kind) {
  controls();
  if (kind === "encode" && photo && !get("live").checked) {
    get("go").disabled = false;
  } else if (photo || coded) {
    newest.want(kind);
  }
}

// Controls

function controls() {
  for (const range of document.querySelectorAll(".range input")) {
    range.parentElement.querySelector("output").textContent = range.value + (range.dataset.unit || "");
  }
  const target = chosen("rate") === "target";
  get("by-quality").hidden = target;
  get("by-target").hidden = !target;
  get("go").hidden = get("live").checked;
  get("by-map").disabled = Boolean(coded) && !coded.importance;
  get("tau").disabled = get("by-map").checked && !get("by-map").disabled;
}

for (const [kind, ids] of Object.entries({
  encode: ["quality", "target", "gain"], decode: ["tau", "steps", "by-map"], none: ["size", "soft"],
})) {
  for (const id of ids) {
    get(id).addEventListener("input", () => (kind === "none" ? controls() : changed(kind)));
  }
}
for (const radio of document.querySelectorAll("[name=rate]")) {
  radio.addEventListener("change", () => changed("encode"));
}
get("live").addEventListener("change", () => {
  const waiting = !get("go").disabled;
  controls();
  if (get("live").checked && waiting && photo) newest.want("encode");
});
get("go").addEventListener("click", () => photo && newest.want("encode"));

for (const radio of document.querySelectorAll("[name=tool]")) {
  radio.addEventListener("change", () => photo && view.choose("paint"));
}
get("undo").addEventListener("click", () => photo && painter.undo());
get("clear").addEventListener("click", () => photo && painter.replace());
for (const kind of ["auto", "center"]) {
  get(kind).addEventListener("click", () => photo && attempt("detecting", async () => {
    const of = photo, { width, height } = painter;
    const asked = { photo: of.photo, kind, columns: width, rows: height };
    const { mask, figures } = await calls.suggestedMask(asked);
    if (of !== photo) return;
    painter.replace(mask);
    get("found").textContent = `Found: ${figures.found}`;
    view.choose("paint");
  }));
}

for (const button of document.querySelectorAll("button.open")) {
  button.addEventListener("click", () => get("file").click());
}
for (const button of document.querySelectorAll("button.demo")) {
  button.addEventListener("click", () => attempt("opening", async () =>
    begin(await calls.demoPhoto(), null, "flower.png")));
}
get("file").addEventListener("change", () => {
  const [file] = get("file").files;
  get("file").value = "";
  if (file) attempt("opening", () => open(file));
});

const hasFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  get("drop").hidden = false;
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) get("drop").hidden = true; });
addEventListener("drop", (event) => {
  event.preventDefault();
  get("drop").hidden = true;
  const [file] = event.dataTransfer.files;
  if (file) attempt("opening", () => open(file));
});
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z" && photo
    && event.target.type !== "number") {
    event.preventDefault();
    painter.undo();
  }
});
get("controls").addEventListener("submit", (event) => event.preventDefault());

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
get("save-file").addEventListener("click", () => attempt("saving", async () =>
  save(await calls.fileBlob({ file: coded.file, tau: value("tau"), steps: value("steps") }),
    `${stem}.rdc`)));
get("save-image").addEventListener("click", () => save(decoded.blob, `${stem}_decoded.png`));

controls();
attempt("starting the codec", async () => {
  limits = await calls.state();
  get("quality").value = limits.quality;
  get("gain").value = limits.roi_gain;
  get("tau").value = limits.tau;
  get("steps").value = limits.steps;
  if (!get("name").textContent) get("name").textContent = `model ${limits.model}`;
  controls();
});
