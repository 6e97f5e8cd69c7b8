// Outlines of the faces that the detector found; a click protects a face.

const MARGIN = 0.5;  // importance of the middle of a face from which it counts as protected

export class Faces {
  // room: element over the stage. protect(face): called with {x, y, across, down}, the middle and
  // the radii of an ellipse as shares of the photo's sides.
  constructor(room, protect) {
    this.room = room;
    this.protect = protect;
    this.clear();
  }

  clear() {
    this.found = [];
    this.room.replaceChildren();
  }

  // boxes: [left, top, width, height] in pixels of a photo of `size`; scale: of the ellipse to the
  // box, as in the masks of the detector.
  show(boxes, scale, { width, height }) {
    this.clear();
    for (const [left, top, across, down] of boxes) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "face";
      button.title = "Protect this face";
      button.setAttribute("aria-label", `Protect face ${this.found.length + 1} of ${boxes.length}`);
      Object.assign(button.style, { left: `${100 * left / width}%`, top: `${100 * top / height}%`,
        width: `${100 * across / width}%`, height: `${100 * down / height}%` });
      const face = { button, x: (left + across / 2) / width, y: (top + down / 2) / height,
        across: scale * across / 2 / width, down: scale * down / 2 / height };
      button.addEventListener("click", () => this.protect(face));
      this.found.push(face);
      this.room.append(button);
    }
  }

  // Marks the faces that the mask protects; importance(x, y): 0..1 at shares of the photo's sides.
  mark(importance) {
    for (const { button, x, y } of this.found) {
      button.setAttribute("aria-pressed", String(importance(x, y) > MARGIN));
    }
  }
}
