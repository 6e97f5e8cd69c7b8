// Which images are on the stage and how large they are.

import { Slider } from "./slider.js";

const get = (id) => document.getElementById(id);
const NAMES = { decoded: "decoded", bits: "bits", importance: "importance" };

export class View {
  constructor() {
    this.slider = new Slider(get("stage"), get("split"));
    this.layers = {};  // url by name: original, other (codec), decoded, bits, importance
    this.size = null;  // of the image, pixels
    this.live = null;  // {zero, one, tau}: what the live preview blends
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

  has(name) {
    return Boolean(this.layers[name]?.url);
  }

  // Shows a new image, {width, height, alpha}; original: its URL, or null if there is only a file.
  // Nothing of the image before it stays on the stage.
  open({ width, height, alpha }, original) {
    for (const name of Object.keys(this.layers)) this.put(name, null);
    for (const image of get("stage").querySelectorAll("img")) {
      image.removeAttribute("src");
      image.classList.add("blank");
    }
    get("preview").hidden = true;
    this.live = null;
    this.size = { width, height };
    this.put("original", original);
    get("stage").classList.toggle("alpha", alpha);
    if (!original && this.chosen("view") === "paint") this.choose("decoded");
    this.show();
  }

  // url: of a blob, of data, or of the server; text: what the label adds to the name of the image;
  // extent: size that a map covers, [width, height].
  put(name, url, { text = "", extent = null } = {}) {
    const old = this.layers[name];
    if (old?.url?.startsWith("blob:")) URL.revokeObjectURL(old.url);
    this.layers[name] = { url, text, extent };
    if (name === "decoded") this.live = null;
  }

  // Blends the images decoded at tau 0 and 1, until the one decoded at this tau is put.
  preview(zero, one, tau) {
    this.live = { zero, one, tau };
    this.show();
  }

  show() {
    for (const radio of document.querySelectorAll("[name=view]")) {
      radio.disabled = radio.value === "paint" ? this.size !== null && !this.has("original")
        : radio.value !== "decoded" && this.size !== null && !this.has(radio.value);
    }
    let view = this.chosen("view");
    if (document.querySelector("[name=view]:checked").disabled) {
      document.querySelector("[name=view][value=decoded]").checked = true;
      view = "decoded";
    }
    document.body.classList.toggle("empty", this.size === null);
    get("empty").hidden = this.size !== null;
    get("stage").hidden = this.size === null;
    if (this.size === null) return;
    const painting = view === "paint", after = painting ? "" : view;
    this.showBefore(after);
    this.showAfter(after);
    get("paint").hidden = get("faces").hidden = !painting;
    this.fit();
  }

  // The left side: the original, or in a comparison the other codec.
  showBefore(after) {
    const other = after === "decoded" && this.has("other"), both = this.has("original");
    const { url, text } = this.layers[other ? "other" : "original"];
    if (both) this.load(get("before"), url);
    get("before").style.visibility = both ? "" : "hidden";
    get("before").alt = other ? text : "Original";
    get("against").hidden = !both || after !== "decoded" || get("against").length < 2;
    const named = other || (after && both && get("against").hidden);
    get("before-name").textContent = named ? (other ? text : "original") : "";
  }

  // The right side.
  showAfter(after) {
    const both = this.has("original"), live = after === "decoded" ? this.live : null;
    get("after").hidden = !after || !this.has(after);
    get("split").hidden = get("after").hidden || !both;
    get("after").style.clipPath = both ? "" : "none";
    get("split").setAttribute("aria-label", `Original against ${NAMES[after] || ""}`);
    get("after-name").textContent = "";
    if (get("after").hidden) return;
    const image = get("after-image"), { url, text, extent } = this.layers[after];
    const loaded = this.load(image, url);
    if (live) {
      for (const [id, name, share] of [["at-zero", "zero", 1 - live.tau], ["at-one", "one", live.tau]]) {
        this.load(get(id), live[name]);
        get(id).style.opacity = share;
      }
      image.style.opacity = 0;
      get("preview").hidden = false;
    } else {
      loaded.then(() => {  // the preview stays until the image that replaces it is complete
        if (this.live && this.chosen("view") === "decoded") return;
        image.style.opacity = "";
        get("preview").hidden = true;
      });
    }
    image.alt = NAMES[after];
    image.classList.toggle("cells", extent !== null);
    image.style.width = `${extent ? 100 * extent[0] / this.size.width : 100}%`;
    image.style.height = `${extent ? 100 * extent[1] / this.size.height : 100}%`;
    get("after-name").textContent = live ? "preview" : [NAMES[after], text].filter(Boolean).join(", ");
  }

  // A blank image appears when its first content is complete; later ones replace each other.
  load(image, url) {
    if (image.getAttribute("src") === url) return Promise.resolve();
    image.src = url;
    const shown = () => {
      if (image.getAttribute("src") === url) image.classList.remove("blank");
    };
    return image.decode().then(shown, shown);
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
