// What the page says of a file.

const count = (/** @type {number} */ n) => n.toLocaleString("en");

/**
 * @param {import("../rdc/file_info.js").FileInfo} info
 * @returns {[string, string][]} names and values
 */
export function figuresOf(info) {
  const channels = (info.grey ? 1 : 3) + (info.alpha ? 1 : 0);
  const ratio = info.width * info.height * channels / info.bytes;
  const kinds = [info.grey ? "grey" : "colour", info.alpha && "alpha", info.profile && "profile"];
  return [
    ["Size", `${count(info.width)} × ${count(info.height)}`],
    ["File", `${count(info.bytes)} bytes`],
    ["Rate", `${info.bpp.toPrecision(3)} bits per pixel`],
    ["Ratio", `1 : ${ratio < 10 ? ratio.toFixed(1) : count(Math.round(ratio))}`],
    ["Channels", kinds.filter(Boolean).join(", ")],
    ["Importance", info.importanceLevels > 1 ? `${info.importanceLevels} levels` : "none"],
    ["Tiles", info.tileSide ? `${info.tileSide} pixels` : "none"],
    ["Model", info.modelId],
  ];
}

/**
 * Shows names and values in a <dl>.
 * @param {HTMLElement} list
 * @param {[string, string][]} figures
 */
export function show(list, figures) {
  list.replaceChildren(...figures.flatMap(([name, value]) => {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  }));
}
