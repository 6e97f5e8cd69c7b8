// Which images are on the stage and how large they are.

import { Slider } from "./slider.js";

const get = (id) => document.getElementById(id);
const NAMES = { decoded: "decoded", bits: "bits", importance: "importance" };

export class View {
  constructor() {
    this.slider = new Slider(get("stage"), get("split"));
    this.layers = {};  // url by name: original, decoded, bits, importance
    this.size = null;  // of the image, pixels
    for (const radio of document.querySelectorAll("[name=view], [name=zoom]")) {
      radio.addEventListener("change", () => this.show());
    }
    new ResizeObserver(() => this.fit()).observe(get("pane"));
  }

  chosen(name) {
    return document.querySelector(`[name=${name}]:checked`).value;
  }

  choose(view) {
    document.querySelector(`[name=view][value=${view}]`).checked = true;
    this.show();
  }

  // Shows a new image, {width, height, alpha}; original: its URL, or null if there is only a file.
  open({ width, height, alpha }, original) {
    for (const name of Object.keys(this.layers)) this.put(name, null);
    this.size = { width, height };
    this.put("original", original);
    get("stage").classList.toggle("alpha", alpha);
    if (!original && this.chosen("view") === "paint") this.choose("decoded");
    this.show();
  }

  // url: of a blob, of data, or of the server; extent: size that a map covers, [width, height].
  put(name, url, extent = null) {
    const old = this.layers[name];
    if (old && old.url && old.url.startsWith("blob:")) URL.revokeObjectURL(old.url);
    this.layers[name] = { url, extent };
  }

  show() {
    const has = (name) => Boolean(this.layers[name] && this.layers[name].url);
    for (const radio of document.querySelectorAll("[name=view]")) {
      radio.disabled = radio.value === "paint" ? this.size !== null && !has("original")
        : radio.value !== "decoded" && this.size !== null && !has(radio.value);
    }
    let view = this.chosen("view");
    if (document.querySelector("[name=view]:checked").disabled) {
      document.querySelector("[name=view][value=decoded]").checked = true;
      view = "decoded";
    }
    get("empty").hidden = this.size !== null;
    get("stage").hidden = this.size === null;
    if (this.size === null) return;
    const painting = view === "paint", after = painting ? "" : view, both = has("original");
    if (has("original")) this.load(get("before"), this.layers.original.url);
    get("before").style.visibility = has("original") ? "" : "hidden";
    get("after").hidden = !after || !has(after);
    if (!get("after").hidden) {
      const image = get("after-image"), { url, extent } = this.layers[after];
      this.load(image, url);
      image.alt = NAMES[after];
      image.classList.toggle("cells", extent !== null);
      image.style.width = `${extent ? 100 * extent[0] / this.size.width : 100}%`;
      image.style.height = `${extent ? 100 * extent[1] / this.size.height : 100}%`;
    }
    get("paint").hidden = !painting;
    get("split").hidden = get("after").hidden || !both;
    get("after").style.clipPath = both ? "" : "none";
    get("split").setAttribute("aria-label", `Original against ${NAMES[after] || ""}`);
    get("before-name").textContent = get("split").hidden ? "" : "original";
    get("after-name").textContent = get("after").hidden ? "" : NAMES[after];
    this.fit();
  }

  load(image, url) {
    if (image.getAttribute("src") !== url) image.src = url;
  }

  // Fit: as large as the pane allows, at most one screen pixel per pixel. 1:1: exactly that.
  fit() {
    if (this.size === null) return;
    const pane = get("pane"), pixels = this.chosen("zoom") === "pixels";
    const one = 1 / (window.devicePixelRatio || 1);
    const { width, height } = this.size;
    const room = Math.min(pane.clientWidth / width, pane.clientHeight / height);
    const scale = pixels ? one : Math.min(room, Math.max(one, 1));
    get("stage").style.width = `${width * scale}px`;
    get("stage").style.height = `${height * scale}px`;
    get("stage").style.flex = "none";
    this.slider.everywhere = !pixels;
    get("stage").style.touchAction = pixels ? "auto" : "";
    get("paint").style.touchAction = "none";
  }
}
