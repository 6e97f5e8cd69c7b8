// The controls beside the stage: their values, when they are enabled, and their events.

import * as calls from "./calls.js";

export const get = (id) => document.getElementById(id);
export const value = (id) => (get(id).value === "" ? null : Number(get(id).value));
const HINT = "Paint what should stay sharp, or let Auto find faces and objects.";
const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;

const CHANGES = { encode: ["quality", "target", "gain"], tau: ["tau"], decode: ["steps", "by-map"],
  none: ["size", "soft"] };

export class Controls {
  // page: {changed(kind), painter(), view, suggest(kind), touch()}, see app.js.
  constructor(page) {
    for (const [kind, ids] of Object.entries(CHANGES)) {
      for (const id of ids) {
        get(id).addEventListener("input", () => {
          this.ranges();
          if (kind !== "none") page.changed(kind);
        });
      }
    }
    for (const radio of document.querySelectorAll("[name=rate]")) {
      radio.addEventListener("change", () => page.changed("encode"));
    }
    for (const radio of document.querySelectorAll("[name=tool]")) {
      radio.addEventListener("change", () => page.painter() && page.view.choose("paint"));
    }
    get("keep").addEventListener("change", () => page.painter()?.painted() && page.changed("encode"));
    for (const event of ["pointerdown", "focus"]) get("tau").addEventListener(event, page.touch);
    get("undo").addEventListener("click", () => page.painter()?.undo());
    get("clear").addEventListener("click", () => page.painter()?.replace());
    for (const kind of ["auto", "center"]) {
      get(kind).addEventListener("click", () => page.painter() && page.suggest(kind));
    }
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z"
        && page.painter() && event.target.type !== "number") {
        event.preventDefault();
        page.painter().undo();
      }
    });
    get("controls").addEventListener("submit", (event) => event.preventDefault());
  }

  brush() {
    return { radius: value("size") / 200, soft: value("soft") / 100, erase: chosen("tool") === "erase" };
  }

  // Settings of the encoder.
  coding() {
    const rate = chosen("rate") === "quality" ? { quality: value("quality") }
      : { target_kb: value("target") ?? 0 };
    return { roi_gain: value("gain"), keep_size: get("keep").checked, ...rate };
  }

  // Settings of the decoder, for a file.
  sampling(coded) {
    const byMap = get("by-map").checked && coded.importance;
    return { tau: byMap ? "roi" : value("tau"), steps: value("steps") ?? 0 };
  }

  defaults({ quality, roi_gain: gain, tau, steps }) {
    get("quality").value = quality;
    get("gain").value = gain;
    this.decoder(tau, steps);
  }

  decoder(tau, steps) {
    get("tau").value = tau;
    get("steps").value = steps;
    get("by-map").checked = false;
    this.ranges();
  }

  // What was found, which networks found it, and the command that would install more.
  found(text, detail = "", install = "") {
    get("found").textContent = text;
    get("found").title = detail;
    get("found").hidden = !text;
    get("hint").hidden = Boolean(text);
    get("install").hidden = !install;
    get("install").querySelector("code").textContent = install;
  }

  ranges() {
    for (const range of document.querySelectorAll(".range input")) {
      const share = (range.value - range.min) / (range.max - range.min);
      range.style.setProperty("--share", `${100 * share}%`);
      range.parentElement.querySelector("output").textContent = range.value + (range.dataset.unit || "");
    }
  }

  show({ photo, coded, missing, painted, undo, saveFile, saveImage }) {
    this.ranges();
    const target = chosen("rate") === "target";
    get("by-quality").hidden = target;
    get("by-target").hidden = !target;
    get("keep").disabled = target;
    for (const id of ["importance", "coding"]) get(id).disabled = photo === null;
    get("hint").textContent = photo || !coded ? HINT : "To paint and encode, open a photo.";
    get("undo").disabled = !undo;
    get("clear").disabled = !painted;
    get("by-map").disabled = Boolean(coded) && !coded.importance;
    get("tau").disabled = get("by-map").checked && !get("by-map").disabled;
    get("save-file").disabled = !saveFile;
    get("save-image").disabled = !saveImage;
    get("waiting").hidden = !missing;
    get("go").textContent = missing === "decode" ? "Decode" : "Encode";
    if (!missing) return;
    const megapixels = photo ? `${(photo.width * photo.height / 1e6).toFixed(1)} megapixels` : "";
    get("waiting-for").textContent = coded ? "Not up to date" : megapixels;
  }

  // Buttons that open files, and the drop zone.
  files(open, demo) {
    for (const button of document.querySelectorAll("button.open")) {
      button.addEventListener("click", () => get("file").click());
    }
    for (const button of document.querySelectorAll("button.demo")) {
      button.addEventListener("click", demo);
    }
    get("file").addEventListener("change", () => {
      const [file] = get("file").files;
      get("file").value = "";
      if (file) open(file);
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
      if (file) open(file);
    });
  }

  // state(): {coded, decoded, stem}; attempt: see app.js.
  saving(state, attempt) {
    const save = (blob, name) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    };
    get("save-file").addEventListener("click", () => attempt("Saving", async () => {
      const { coded, stem } = state(), asked = { tau: value("tau"), steps: value("steps") };
      save(await calls.fileBlob({ file: coded.file, ...asked }), `${stem}.rdc`);
    }, { cancel: false }));
    get("save-image").addEventListener("click", () => {
      const { decoded, stem } = state();
      save(decoded.blob, `${stem}_decoded.png`);
    });
  }
}
