// A second image over the first one, right of the split.

import { RdcImage } from "../rdc.js";
import { Split } from "./split.js";

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Comparison {
  /** @param {(message: string) => void} onError */
  constructor(onError) {
    this.onError = onError;
    this.split = new Split(get("split"));
  }

  /** Compares with a file: .rdc, or an image that the browser can show. @param {File} file */
  async start(file) {
    this.end();
    const element = file.name.endsWith(".rdc") ? new RdcImage() : new Image();
    element.alt = file.name;
    element.addEventListener("error", (event) => {
      this.end();
      this.onError(/** @type {ErrorEvent} */ (event).message
        || `${file.name} is not an image that this browser can show`);
    });
    element.addEventListener("load", () => {
      if (element instanceof Image) URL.revokeObjectURL(element.src);
    });
    if (element instanceof RdcImage) element.file = new Uint8Array(await file.arrayBuffer());
    else element.src = URL.createObjectURL(file);
    get("second").replaceChildren(element);
    this.split.set(50);
    this.show(true);
  }

  end() {
    get("second").replaceChildren();
    this.show(false);
  }

  /** @param {boolean} on */
  show(on) {
    for (const id of ["second", "split", "end-compare"]) get(id).hidden = !on;
  }

  /**
   * Tau and map of an .rdc file beside the first one.
   * @param {string} name
   * @param {string | null} value
   */
  setAttribute(name, value) {
    const element = get("second").firstElementChild;
    if (!(element instanceof RdcImage)) return;
    if (value === null) element.removeAttribute(name);
    else element.setAttribute(name, value);
  }
}
