// <rdc-image src="photo.rdc" alt="A cat" tau="0.5">, an element that behaves like <img>.
//
// Attributes: src; alt; tau, 0..1 or "roi", else as the file suggests; map, to cover what is not
// important; resilient, to fill damaged tiles in.
// Events: load; error, with its `message`; progress.
// Properties: naturalWidth, naturalHeight, complete; file, bytes to show in place of src; image, the
// result of `decode`.

import { DEFAULT_MAX_PIXELS } from "./bitstream/header.js";
import { decode } from "./client.js";
import { RdcError } from "./errors.js";
import { importanceMap, info } from "./file_info.js";
import { pngOf } from "./images/png.js";
import { importancePicture } from "./importance_picture.js";

/** @typedef {import("./client.js").DecodedImage} DecodedImage */

const ALWAYS_POSSIBLE = 2 ** 24;  // pixels of a canvas that every browser allows

const STYLE = `
:host { display: inline-block; position: relative; overflow: hidden; vertical-align: bottom; }
:host([hidden]) { display: none; }
canvas { display: block; width: 100%; height: auto; }
.map { position: absolute; left: 0; top: 0; image-rendering: pixelated; pointer-events: none; }`;

/** Base class, so that the module can be imported where there is no DOM. */
const Element = globalThis.HTMLElement ?? class {};

export class RdcImage extends Element {
  static observedAttributes = ["src", "alt", "tau", "map", "resilient"];
  #canvas = document.createElement("canvas");
  #internals = this.attachInternals();
  /** @type {AbortController | null} */
  #running = null;
  /** @type {Uint8Array | null} */
  #file = null;
  #scheduled = false;
  #isNew = false;  // whether the file is another one than the image's
  /** @type {DecodedImage | null} */
  image = null;
  naturalWidth = 0;
  naturalHeight = 0;
  complete = true;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" }), style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    root.append(this.#canvas);
    this.#internals.role = "img";
  }

  get src() { return this.getAttribute("src") ?? ""; }
  set src(url) { this.setAttribute("src", url); }
  get alt() { return this.getAttribute("alt") ?? ""; }
  set alt(text) { this.setAttribute("alt", text); }
  get tau() { return this.getAttribute("tau") ?? ""; }
  set tau(value) { this.setAttribute("tau", String(value)); }

  /** The bytes of the file. Setting them shows them, whatever `src` is. */
  get file() { return this.#file; }
  set file(bytes) {
    this.#file = bytes;
    this.#isNew = true;
    this.#schedule();
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (name === "alt") {
      this.#internals.ariaLabel = value;
      this.#internals.role = value === "" ? "presentation" : "img";
    } else if (name === "map") {
      this.#showMap();
    } else if (before !== value) {
      if (name === "src") this.file = null;
      this.#schedule();
    }
  }

  /** Several attributes may change at once: one decode for all. */
  #schedule() {
    this.complete = false;
    this.#running?.abort();
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#update();
    });
  }

  async #update() {
    const running = this.#running = new AbortController(), { signal } = running;
    try {
      if (!this.#file && !this.src) return;
      const file = this.#file ?? await fetched(this.src, signal);
      signal.throwIfAborted();  // `src` may have changed meanwhile
      this.#file = file;
      const tau = tauOf(this.tau), { width, height } = info(file);
      // A larger image is refused by `decode`, before anything is allocated.
      if (this.#isNew && width * height <= DEFAULT_MAX_PIXELS) this.#clear(width, height);
      this.#showMap();
      const image = await decode(file, {
        tau, signal, resilient: this.hasAttribute("resilient"),
        onRows: (rows) => this.#drawRows(rows),
        onProgress: (loaded) => this.dispatchEvent(
          new ProgressEvent("progress", { lengthComputable: true, loaded, total: 1 })),
      });
      await this.#draw(image);
      if (signal.aborted) return;
      this.image = image;
      this.dispatchEvent(new Event("load"));
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      this.dispatchEvent(new ErrorEvent("error", { error, message }));
    } finally {
      if (running === this.#running) this.complete = true;
    }
  }

  /** @param {number} width @param {number} height */
  #clear(width, height) {
    this.#isNew = false;
    Object.assign(this, { naturalWidth: width, naturalHeight: height, image: null });
    this.#canvas.width = width;
    this.#canvas.height = height;
    if (width * height > ALWAYS_POSSIBLE && !this.#canDraw(width - 1, height - 1)) {
      throw new RdcError(`this browser cannot show ${width} x ${height} pixels; decode a crop`);
    }
  }

  /**
   * Whether a pixel can be drawn; beyond the size that a browser allows, nothing is.
   * @param {number} x
   * @param {number} y
   */
  #canDraw(x, y) {
    this.#context?.fillRect(x, y, 1, 1);
    const drawn = this.#context?.getImageData(x, y, 1, 1).data[3] === 255;
    this.#context?.clearRect(x, y, 1, 1);
    return drawn;
  }

  get #context() {
    return /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  }

  /**
   * A preview, where there is nothing better yet.
   * @param {import("./decoding/reconstruction.js").Rows} rows
   */
  #drawRows({ y, height, pixels }) {
    if (this.image || !height) return;
    const picture = new ImageData(this.naturalWidth, height);
    picture.data.fill(255);
    for (let i = 0, p = 0; i < pixels.length; i += 3, p += 4) {
      picture.data.set(pixels.subarray(i, i + 3), p);
    }
    this.#context.putImageData(picture, 0, y);
  }

  /** @param {DecodedImage} image */
  async #draw(image) {
    if (!image.iccProfile) {
      const data = /** @type {Uint8ClampedArray<ArrayBuffer>} */ (image.data);
      this.#context.putImageData(new ImageData(data, image.width, image.height), 0, 0);
      return;
    }
    const bitmap = await createImageBitmap(await pngOf(image));  // applies the profile
    this.#context.clearRect(0, 0, image.width, image.height);
    this.#context.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #showMap() {
    this.shadowRoot?.querySelector(".map")?.remove();
    if (!this.hasAttribute("map") || !this.#file || !this.naturalWidth) return;
    try {
      const map = importanceMap(this.#file), picture = importancePicture(map);
      picture.className = "map";
      picture.style.width = `${100 * map.columns * map.cellSize / this.naturalWidth}%`;
      picture.style.height = `${100 * map.rows * map.cellSize / this.naturalHeight}%`;
      this.shadowRoot?.append(picture);
    } catch {
      // Decoding reports the damage.
    }
  }
}

/** @param {string} url @param {AbortSignal} signal */
async function fetched(url, signal) {
  let answer;
  try {
    answer = await fetch(url, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new RdcError(`cannot fetch ${url}: check the address and the server's CORS headers`);
  }
  if (!answer.ok) throw new RdcError(`cannot fetch ${url}: the server answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** @param {string} text @returns {import("./decoding/sampling.js").Tau} */
function tauOf(text) {
  if (text === "") return null;
  if (text === "roi") return "roi";
  const tau = Number(text);
  if (Number.isNaN(tau)) throw new RdcError(`tau "${text}" is not a number or "roi"`);
  return tau;
}
