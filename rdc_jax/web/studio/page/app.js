// The page: what is open, and the requests that changes cause. The controls are in controls.js.

import * as calls from "./calls.js";
import { Controls, get, value } from "./controls.js";
import { Faces } from "./faces.js";
import { showFigures, showHeader, sizeText } from "./figures.js";
import { Newest } from "./newest.js";
import { Painter } from "./painting.js";
import { View } from "./view.js";
import { Working } from "./working.js";

const CODEC = { group: "codec" };  // requests that a newer one stops
const LARGE = 6e6;  // pixels; larger photos are encoded only by the button

let photo = null;  // answer of /photo, null if only a file is open
let coded = null;  // answer of /encode or /open
let decoded = null;  // {blob, figures} of the picture on the stage
let ends = null;  // {of, steps, 0: answer, 1: answer}: decoded at tau 0 and 1
let limits = null;
let stem = "image";  // start of the names of saved files
let missing = "";  // "encode" or "decode" if that waits for the button
let live = false;  // whether tau was touched, so that the preview needs `ends`

const view = new View();
const working = new Working(() => refresh());
const newest = new Newest(work, (pending) => working.expect(pending), () => working.stop("codec"));
const painter = new Painter(get("paint"), get("ring"), () => controls.brush(), () => {
  controls.found("");
  changed("encode");
});
const faces = new Faces(get("faces"), ({ x, y, across, down }) => painter.ellipse(x, y, across, down));
const controls = new Controls({ changed, painter: () => photo && painter, view,
  suggest: (kind) => suggest(kind), touch });

function refresh() {
  controls.show({ photo, coded, missing, painted: photo !== null && painter.painted(),
    undo: photo !== null && painter.steps.length > 0,
    saveFile: coded !== null && !newest.busy(), saveImage: decoded !== null && !newest.busy() });
  if (photo) faces.mark((x, y) => painter.importance(x, y));
}

function tell(id, line) {
  get(id).textContent = line;
  get(id).hidden = !line;
}

// Runs an action of the user; an error is shown as one line.
async function attempt(text, action, options) {
  tell("problem", "");
  try {
    await working.run(text, action, options);
  } catch (error) {
    if (!(error instanceof calls.Stopped)) tell("problem", error.message);
  }
}

// Opening images

async function open(file, signal) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const isCoded = head[0] === 0x9d && head[1] === 0x52 && head[2] === 0x44 && head[3] === 0x43;
  const name = file.name || "image";
  if (isCoded || /\.rdc$/i.test(name)) begin(null, await calls.openFile(file, signal), name);
  else begin(await calls.addPhoto(file, signal), null, name);
}

const opening = (file) => attempt(`Opening ${file.name}`, (_, signal) => open(file, signal));

function begin(newPhoto, newFile, name) {
  newest.drop();
  working.stop();
  forget();
  [photo, coded, decoded, missing] = [newPhoto, newFile, null, ""];
  stem = name.replace(/\.[^.]*$/, "") || "image";
  get("name").textContent = name;
  get("against").value = "";
  controls.found("");
  faces.clear();
  tell("note", newPhoto ? newPhoto.note : newFile.note);
  showFigures(photo, coded, null);
  showHeader(coded);
  const { tau, steps } = photo ? limits ?? { tau: value("tau"), steps: value("steps") }
    : { tau: coded.fields.default_tau, steps: Math.max(1, coded.fields.default_steps) };
  controls.decoder(tau, steps);  // those of the file before do not carry over
  if (photo) {
    get("live").checked = photo.width * photo.height <= LARGE;
    painter.reset(photo.width, photo.height);
    view.open(photo, `/photo/${photo.photo}`);
    findFaces();
    if (get("live").checked) newest.want("encode");
    else missing = "encode";
  } else {
    view.open(coded, null);
    view.put("importance", coded.importance, { extent: coded.extent });
    view.show();
    newest.want("decode");
  }
  refresh();
}

async function findFaces() {
  const of = photo;
  const { faces: boxes, room } = await calls.faces({ photo: of.photo }).catch(() => ({ faces: [] }));
  if (of !== photo || !boxes.length) return;
  faces.show(boxes, room, photo);
  const many = boxes.length > 1;
  controls.found(`${boxes.length} face${many ? "s" : ""} found. Choose Paint and click ${
    many ? "one" : "it"} to protect it.`);
  refresh();
}

const suggest = (kind) => attempt("Detecting", async (_, signal) => {
  const of = photo, { width, height } = painter;
  const asked = { photo: of.photo, kind, columns: width, rows: height };
  const { mask, figures } = await calls.suggestedMask(asked, signal);
  if (of !== photo) return;
  if (mask.some((value) => value > 0)) painter.replace(mask);  // otherwise what is painted stays
  controls.found(figures.found[0].toUpperCase() + figures.found.slice(1), figures.detail,
    figures.install);
  view.choose("paint");
});

// Requests to the codec

async function work(kind) {
  if (kind === "encode" && !photo) return;
  if (kind === missing || kind === "encode") missing = "";
  tell("problem", "");
  try {
    if (kind === "encode") {
      await encode();
      if (newest.overtaken()) return;
    }
    if (!coded) return;
    if (kind === "ends") await decodeEnds();
    else await decode();
  } catch (error) {
    if (!(error instanceof calls.Stopped)) tell("problem", error.message);
  }
}

async function encode() {
  const of = photo, settings = controls.coding();
  const answer = await working.run("Encoding", (asked, signal) =>
    calls.encode({ photo: of.photo, mask: painter.sent(), ...settings, ...asked }, signal), CODEC);
  if (of !== photo) throw new calls.Stopped();
  forget();
  coded = { ...answer, wanted: settings.quality ?? answer.quality };
  tell("note", [photo.note, coded.note].filter(Boolean).join(" "));
  view.put("bits", coded.bits, { extent: coded.extent });
  view.put("importance", coded.importance, { extent: coded.extent });
  view.put("other", null);
  view.show();
  showFigures(photo, coded, null);
  showHeader(coded);
}

async function decode() {
  const file = coded, { tau, steps } = controls.sampling(coded);
  const known = ends?.of === file && ends.steps === steps && ends[tau];
  const answer = known || await decodedAt(file, tau, steps, "Decoding");
  if (file !== coded) return;
  decoded = answer;
  view.put("decoded", URL.createObjectURL(answer.blob), { text: sizeText(file.bytes) });
  view.show();
  showFigures(photo, coded, answer.figures);
  if (get("against").value && !view.has("other")) compare();
  if (live) newest.want("ends");
}

const decodedAt = (file, tau, steps, text) => working.run(text, (asked, signal) =>
  calls.decode({ file: file.file, tau, steps, ...asked }, signal), CODEC);

// Decodes at tau 0 and 1, which the live preview blends.
async function decodeEnds() {
  const file = coded, { steps } = controls.sampling(coded);
  if (!live || file.width * file.height > LARGE) return;
  if (ends?.of !== file || ends.steps !== steps) {
    forget();
    ends = { of: file, steps };
  }
  const made = ends;
  for (const tau of [0, 1]) {
    if (made[tau]) continue;
    const answer = await decodedAt(file, tau, steps, "Preparing the preview");
    if (made !== ends) return;
    made[tau] = { ...answer, url: URL.createObjectURL(answer.blob) };
  }
  live = false;
}

// Drops what the preview blends.
function forget() {
  view.live = null;
  for (const tau of [0, 1]) if (ends?.[tau]) URL.revokeObjectURL(ends[tau].url);
  ends = null;
}

// Tau is about to change.
function touch() {
  if (!coded || (ends?.[0] && ends[1])) return;
  live = true;
  if (decoded && !newest.busy()) newest.want("ends");
}

// Another codec on the other side of the slider, at the same bytes.
const compare = () => attempt("Making the other file", async (_, signal) => {
  const file = coded, codec = get("against").value;
  const { blob, figures } = await calls.compare({ file: file.file, codec }, signal);
  if (file !== coded || codec !== get("against").value) return;
  const url = URL.createObjectURL(blob);
  view.put("other", url, { text: `${figures.codec}, ${sizeText(figures.bytes)}` });
  view.choose("decoded");
  tell("note", [photo.note, coded.note, figures.note].filter(Boolean).join(" "));
});

function changed(kind) {
  if (kind === "tau" && coded && ends?.of === coded && ends[0] && ends[1]) {
    const { tau, steps } = controls.sampling(coded);
    if (tau !== "roi" && steps === ends.steps) view.preview(ends[0].url, ends[1].url, tau);
  }
  if (kind === "encode" && photo && !get("live").checked) missing = "encode";
  else if (kind === "encode" ? photo : coded) newest.want(kind === "encode" ? kind : "decode");
  refresh();
}

// What the page does on its own

get("cancel").addEventListener("click", () => {
  const kind = newest.running ?? newest.wanted;
  newest.drop();
  working.stop();
  if (kind === "ends") live = false;
  else if (kind && missing !== "encode") missing = kind;
  refresh();
});
get("go").addEventListener("click", () => { newest.want(missing || "encode"); });
get("live").addEventListener("change", () => {
  if (get("live").checked && missing && photo) newest.want(missing);
  refresh();
});
get("against").addEventListener("change", () => {
  view.put("other", null);
  view.show();
  if (get("against").value && coded) compare();
});
controls.files(opening, () => attempt("Opening the demo photo", async () =>
  begin(await calls.demoPhoto(), null, "flower.png")));
controls.saving(() => ({ coded, decoded, stem }), attempt);

refresh();
attempt("Starting the codec", async () => {
  limits = await calls.state();
  for (const [key, name] of Object.entries(limits.others)) {
    get("against").add(new Option(`${name}, same bytes`, key));
  }
  controls.defaults(limits);
  if (!get("name").textContent) get("name").textContent = `model ${limits.model}`;
}, { cancel: false });
