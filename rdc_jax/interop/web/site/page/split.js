// The border between two images: drag it, or move it with the arrow keys.

export class Split {
  /** @param {HTMLElement} handle inside of the stage */
  constructor(handle) {
    this.handle = handle;
    this.value = 50;
    handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();  // the image stays where it is
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = /** @type {HTMLElement} */ (handle.parentElement).getBoundingClientRect();
      this.set(100 * (event.clientX - box.left) / box.width);
    });
    handle.addEventListener("keydown", (event) => {
      /** @type {Record<string, number>} */
      const steps = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      this.set(this.value + step);
    });
    this.set(this.value);
  }

  /** @param {number} percent of the width */
  set(percent) {
    this.value = Math.min(Math.max(percent, 0), 100);
    this.handle.parentElement?.style.setProperty("--at", `${this.value}%`);
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.value)));
  }
}
