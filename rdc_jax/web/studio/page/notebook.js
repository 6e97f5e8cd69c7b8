// The brush of the studio inside a Colab notebook; `Painter` of painting.js comes before this.

// Shows a photo (its URL and size) until "Done" is pressed; returns the mask as JSON, or null.
async function rdcPaint(url, width, height) {
  const make = (parent, name, style, properties = {}) => {
    const element = Object.assign(document.createElement(name), properties);
    Object.assign(element.style, style);
    parent.append(element);
    return element;
  };
  const frame = make(document.body, "div", { fontFamily: "system-ui, sans-serif" });
  const bar = make(frame, "div", { display: "flex", flexWrap: "wrap", gap: "12px",
    alignItems: "center", padding: "6px 0" });
  const range = (text, properties) => {
    const label = make(bar, "label", {}, { textContent: `${text} ` });
    return make(label, "input", { verticalAlign: "middle" }, { type: "range", ...properties });
  };
  const size = range("brush", { min: 2, max: 80, value: 22 });
  const soft = range("soft edge", { min: 0, max: 100, value: 30 });
  const label = make(bar, "label", {});
  const erase = make(label, "input", {}, { type: "checkbox" });
  label.append(" erase");
  const button = (text) => make(bar, "button", {}, { textContent: text, type: "button" });
  const [undo, clear, done] = ["Undo", "Clear", "Done"].map(button);
  const stage = make(frame, "div", { position: "relative", overflow: "hidden", touchAction: "none",
    width: `min(100%, ${width}px, ${Math.round(560 * width / height)}px)` });
  make(stage, "img", { display: "block", width: "100%" }, { src: url, alt: "photo" });
  const canvas = make(stage, "canvas", { position: "absolute", left: 0, top: 0, width: "100%",
    height: "100%", cursor: "none", touchAction: "none" }, { tabIndex: 0 });
  const ring = make(stage, "div", { position: "absolute", border: "1.5px solid #fff",
    borderRadius: "50%", boxShadow: "0 0 0 1.5px #000a", pointerEvents: "none",
    boxSizing: "border-box", transform: "translate(-50%, -50%)" }, { hidden: true });
  const brush = () => (
    { radius: size.value / 200, soft: soft.value / 100, erase: erase.checked });
  const painter = new Painter(canvas, ring, brush, () => {});
  painter.reset(width, height);
  undo.addEventListener("click", () => painter.undo());
  clear.addEventListener("click", () => painter.replace());
  await new Promise((resolve) => { done.addEventListener("click", resolve); });
  frame.remove();
  return JSON.stringify(painter.sent());
}
