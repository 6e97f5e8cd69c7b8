// The line between two images: dragged anywhere on the stage, or moved by arrow keys.

export class Slider {
  constructor(stage, handle) {
    this.stage = stage;
    this.handle = handle;
    this.everywhere = true;  // whether dragging beside the handle works too
    this.set(50);
    handle.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.dragging === event.pointerId
      && this.follow(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, () => { this.dragging = null; });
    }
  }

  // percent of the width at which the right image begins
  set(percent) {
    this.at = Math.min(100, Math.max(0, percent));
    this.stage.style.setProperty("--at", `${this.at}%`);
    this.handle.setAttribute("aria-valuenow", Math.round(this.at));
  }

  down(event) {
    if (this.handle.hidden || event.button !== 0) return;
    if (event.target !== this.handle && !this.everywhere) return;
    this.dragging = event.pointerId;
    this.stage.setPointerCapture(event.pointerId);
    this.handle.focus({ preventScroll: true });
    event.preventDefault();
    this.follow(event);
  }

  follow(event) {
    const box = this.stage.getBoundingClientRect();
    this.set(100 * (event.clientX - box.left) / box.width);
  }

  key(event) {
    const step = event.shiftKey ? 10 : 2;
    const to = { ArrowLeft: this.at - step, ArrowDown: this.at - step, ArrowRight: this.at + step,
      ArrowUp: this.at + step, PageDown: this.at - 10, PageUp: this.at + 10, Home: 0, End: 100 };
    if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in to)) return;
    event.preventDefault();
    this.set(to[event.key]);
  }
}
