// Zooming and moving of the image: wheel, pinch, drag, keys and buttons.

const MAX_ZOOM = 32;
const STEP = 1.5;  // of buttons and keys
const MOVE = 60;  // pixels, of the arrow keys
const PIXELATED = 3;  // from this zoom on, pixels are shown as squares

export class Stage {
  /** @param {HTMLElement} pane @param {HTMLElement} stage */
  constructor(pane, stage) {
    this.pane = pane;
    this.stage = stage;
    this.width = this.height = 0;  // of the image, pixels
    this.zoom = 1;  // of CSS pixels per image pixel
    this.x = this.y = 0;  // of the image's corner in the pane
    this.fitted = true;
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    pane.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    pane.addEventListener("pointerdown", (event) => this.down(event));
    pane.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      pane.addEventListener(kind, (event) => this.pointers.delete(
        /** @type {PointerEvent} */ (event).pointerId));
    }
    pane.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(pane);
  }

  /** Shows an image of another size. @param {number} width @param {number} height */
  resize(width, height) {
    if (width === this.width && height === this.height) return;
    Object.assign(this, { width, height });
    this.stage.style.width = `${width}px`;
    this.stage.style.height = `${height}px`;
    this.fit();
  }

  /** The whole image, at most at its own size. */
  fit() {
    const { clientWidth: w, clientHeight: h } = this.pane;
    if (!this.width || !w || !h) return;
    this.zoom = Math.min(1, w / this.width, h / this.height);
    this.x = (w - this.width * this.zoom) / 2;
    this.y = (h - this.height * this.zoom) / 2;
    this.fitted = true;
    this.place();
  }

  /** One image pixel per CSS pixel. */
  actual() {
    this.zoomBy(1 / this.zoom);
  }

  /** @param {number} factor @param {{x: number, y: number}} [at] stays where it is */
  zoomBy(factor, at = { x: this.pane.clientWidth / 2, y: this.pane.clientHeight / 2 }) {
    const least = Math.min(1, 40 / Math.max(this.width, this.height, 1));
    const zoom = Math.min(Math.max(this.zoom * factor, least), MAX_ZOOM);
    this.x = at.x - (at.x - this.x) * zoom / this.zoom;
    this.y = at.y - (at.y - this.y) * zoom / this.zoom;
    this.zoom = zoom;
    this.fitted = false;
    this.place();
  }

  /** @param {number} dx @param {number} dy */
  moveBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  place() {
    // Some of the image always stays in sight.
    /** @param {number} at @param {number} size @param {number} room */
    const inside = (at, size, room) =>
      Math.min(Math.max(at, Math.min(40, size) - size), room - Math.min(40, size));
    this.x = inside(this.x, this.width * this.zoom, this.pane.clientWidth);
    this.y = inside(this.y, this.height * this.zoom, this.pane.clientHeight);
    this.stage.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
    this.stage.style.setProperty("--zoom", String(this.zoom));
    this.stage.classList.toggle("large", this.zoom >= PIXELATED);
  }

  /** @param {MouseEvent} event */
  at(event) {
    const box = this.pane.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!this.width) return;
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), this.at(event));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (!this.width || event.button) return;
    this.pointers.set(event.pointerId, this.at(event));
    this.pane.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const reach = (/** @type {{x: number, y: number}} */ p) =>
        Math.hypot(p.x - other.x, p.y - other.y);
      this.zoomBy(reach(now) / Math.max(reach(before), 1), other);
    } else {
      this.moveBy(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.pane || event.ctrlKey || event.metaKey) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "+": () => this.zoomBy(STEP), "=": () => this.zoomBy(STEP), "-": () => this.zoomBy(1 / STEP),
      0: () => this.fit(), 1: () => this.actual(),
      ArrowLeft: () => this.moveBy(MOVE, 0), ArrowRight: () => this.moveBy(-MOVE, 0),
      ArrowUp: () => this.moveBy(0, MOVE), ArrowDown: () => this.moveBy(0, -MOVE),
    };
    const action = actions[event.key];
    if (!action || !this.width) return;
    event.preventDefault();
    action();
  }
}
