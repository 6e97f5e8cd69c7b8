// Figures below the image, those behind "More", and the header of the file as a table.

const get = (id) => document.getElementById(id);
const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
const known = (value) => value !== null && value !== undefined;

// A size with three digits: "842 bytes", "12.4 kB", "1.05 MB".
export function sizeText(size) {
  if (size < 1000) return `${size} byte${size === 1 ? "" : "s"}`;
  const [value, unit] = size < 999500 ? [size / 1e3, "kB"] : [size / 1e6, "MB"];
  return `${value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(value) + 1e-9)))} ${unit}`;
}

function ratioText(original, size) {
  const ratio = original / size;
  if (ratio < 1) return `${(1 / ratio).toFixed(1)}× larger`;
  return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}× smaller`;
}

function fill(id, rows) {
  get(id).replaceChildren(...rows.map(([name, value]) => {
    const pair = element("div", "");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

// photo: the answer of /photo, or null; coded: the answer of /encode or /open, or null before it;
// decoded: the figures of /decode, or null before it.
export function showFigures(photo, coded, decoded) {
  const rows = photo ? [["original", sizeText(photo.bytes)]] : [];
  const more = [];
  if (coded) {
    rows.push([photo ? "coded" : "file", sizeText(coded.bytes)]);
    if (photo) rows.push(["that is", ratioText(photo.bytes, coded.bytes)]);
    if (known(coded.quality)) {
      const other = Math.abs(coded.quality - coded.wanted) >= 0.05;  // painting kept the size
      rows.push([other ? "quality used" : "quality", coded.quality.toFixed(1).replace(/\.0$/, "")]);
    }
    more.push(["bytes", coded.bytes.toLocaleString("en-GB")]);
    if (coded.alpha) more.push(["bytes of alpha", coded.parts.alpha.toLocaleString("en-GB")]);
    more.push(["bits per pixel", coded.bpp.toFixed(3)]);
    if (known(coded.seconds)) more.push(["encoded in", `${coded.seconds.toFixed(2)} s`]);
  }
  if (coded && decoded) {
    more.push(["decoded in", `${decoded.seconds.toFixed(2)} s`]);
    const names = { psnr: coded.alpha ? "PSNR, visible" : "PSNR", psnr_inside: "important",
      psnr_outside: "elsewhere" };
    for (const [name, text] of Object.entries(names)) {
      if (known(decoded[name])) more.push([text, `${decoded[name].toFixed(2)} dB`]);
    }
  }
  fill("figures", rows);
  fill("details", more);
}

export function showHeader(coded) {
  get("header").hidden = !coded;
  const rows = coded
    ? Object.entries(coded.fields).map(([name, value]) => [name.replaceAll("_", " "), value]) : [];
  for (const [name, size] of coded ? Object.entries(coded.parts) : []) {
    rows.push([`${name.replaceAll("_", " ")}, bytes`, size]);
  }
  get("header").tBodies[0].replaceChildren(...rows.map(([name, value]) => {
    const row = element("tr", ""), head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", String(value)));
    return row;
  }));
}
