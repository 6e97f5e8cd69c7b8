// A mask of one byte per cell, painted with a round brush and shown as a tint over the photo.

const LONGEST = 768;  // cells along the longer side; the codec's own cells are 16 pixels
const KEPT = 30;  // steps that can be undone
const TINT = [255, 60, 120, 150];  // red, green, blue, and the opacity of full importance

export class Painter {
  // brush(): {radius: share of the shorter side, soft: 0..1, erase}. changed() is called after each
  // stroke.
  constructor(canvas, ring, brush, changed) {
    Object.assign(this, { canvas, ring, brush, changed });
    this.context = canvas.getContext("2d");
    this.at = null;  // position of the brush, in cells
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.up(event));
    }
    canvas.addEventListener("pointerleave", () => { ring.hidden = true; });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { ring.hidden = true; });
  }

  reset(width, height) {
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    this.width = this.canvas.width = Math.max(1, Math.round(width * scale));
    this.height = this.canvas.height = Math.max(1, Math.round(height * scale));
    this.cells = new Uint8Array(this.width * this.height);
    this.steps = [];
    this.at = [this.width / 2, this.height / 2];
    this.stroke = null;
  }

  get radius() {
    return Math.max(0.5, this.brush().radius * Math.min(this.width, this.height));
  }

  // The mask for the server; null if nothing is painted.
  sent() {
    if (!this.painted()) return null;
    let text = "";
    for (let i = 0; i < this.cells.length; i += 8192) {
      text += String.fromCharCode(...this.cells.subarray(i, i + 8192));
    }
    return { width: this.width, height: this.height, data: btoa(text) };
  }

  remember() {
    this.steps.push(this.cells.slice());
    if (this.steps.length > KEPT) this.steps.shift();
  }

  undo() {
    if (!this.steps.length) return;
    this.cells = this.steps.pop();
    this.draw(0, 0, this.width, this.height);
    this.changed();
  }

  painted() {
    return this.cells.some((value) => value > 0);
  }

  // Importance 0..1 at shares 0..1 of the sides.
  importance(x, y) {
    const column = Math.min(this.width - 1, Math.floor(x * this.width));
    const row = Math.min(this.height - 1, Math.floor(y * this.height));
    return this.cells[row * this.width + column] / 255;
  }

  // Makes an ellipse important: its middle and radii as shares 0..1 of the sides.
  ellipse(x, y, across, down) {
    this.remember();
    for (let row = 0, i = 0; row < this.height; row++) {
      for (let column = 0; column < this.width; column++, i++) {
        const right = ((column + 0.5) / this.width - x) / across;
        const below = ((row + 0.5) / this.height - y) / down;
        if (right * right + below * below <= 1) this.cells[i] = 255;
      }
    }
    this.draw(0, 0, this.width, this.height);
    this.changed();
  }

  // Replaces the whole mask by the given bytes, or clears it.
  replace(cells = new Uint8Array(this.width * this.height)) {
    this.remember();
    this.cells = cells;
    this.draw(0, 0, this.width, this.height);
    this.changed();
  }

  down(event) {
    if (event.button !== 0 || this.stroke !== null) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = event.pointerId;
    this.remember();
    this.place(event);
    this.stamp(...this.at);
  }

  move(event) {
    if (this.stroke !== null && this.stroke !== event.pointerId) return;
    const from = this.at;
    this.place(event);
    if (this.stroke === null) return;
    const [dx, dy] = [this.at[0] - from[0], this.at[1] - from[1]];
    const count = Math.max(1, Math.ceil(4 * Math.hypot(dx, dy) / this.radius));
    for (let i = 1; i <= count; i++) {
      this.stamp(from[0] + dx * i / count, from[1] + dy * i / count);
    }
  }

  up(event) {
    if (this.stroke !== event.pointerId) return;
    this.stroke = null;
    if (event.pointerType !== "mouse") this.ring.hidden = true;
    this.changed();
  }

  key(event) {
    const far = this.radius * (event.shiftKey ? 0.1 : 0.5);
    const steps = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far],
      ArrowDown: [0, far] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) {
      const [x, y] = this.at, [dx, dy] = steps[event.key];
      this.at = [Math.min(this.width, Math.max(0, x + dx)),
        Math.min(this.height, Math.max(0, y + dy))];
      this.show();
    } else if (event.key === " " || event.key === "Enter") {
      if (!event.repeat) this.remember();
      this.show();
      this.stamp(...this.at);
      this.changed();
    } else return;
    event.preventDefault();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    this.at = [(event.clientX - box.left) / box.width * this.width,
      (event.clientY - box.top) / box.height * this.height];
    this.show();
  }

  show() {
    const style = this.ring.style, scale = this.canvas.clientWidth / this.width;
    style.left = `${100 * this.at[0] / this.width}%`;
    style.top = `${100 * this.at[1] / this.height}%`;
    style.width = style.height = `${2 * this.radius * scale}px`;
    this.ring.hidden = false;
  }

  // One touch of the brush. The strongest touch counts, so strokes overlap without visible edges.
  stamp(x, y) {
    const { soft, erase } = this.brush(), radius = this.radius, hard = 1 - soft;
    const left = Math.max(0, Math.floor(x - radius)), top = Math.max(0, Math.floor(y - radius));
    const right = Math.min(this.width, Math.ceil(x + radius) + 1);
    const bottom = Math.min(this.height, Math.ceil(y + radius) + 1);
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y) / radius;
        if (distance >= 1) continue;
        const ramp = distance <= hard ? 1 : (1 - distance) / soft;
        const value = Math.round(255 * ramp * ramp * (3 - 2 * ramp)), i = row * this.width + column;
        this.cells[i] = erase ? Math.min(this.cells[i], 255 - value)
          : Math.max(this.cells[i], value);
      }
    }
    this.draw(left, top, right, bottom);
  }

  draw(left, top, right, bottom) {
    if (right <= left || bottom <= top) return;
    const image = this.context.createImageData(right - left, bottom - top), [r, g, b, a] = TINT;
    for (let row = top, k = 0; row < bottom; row++) {
      for (let column = left; column < right; column++, k += 4) {
        const value = this.cells[row * this.width + column];
        image.data.set([r, g, b, a * value / 255], k);
      }
    }
    this.context.putImageData(image, left, top);
  }
}
