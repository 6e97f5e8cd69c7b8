// Figures below the image, and the header of the file as a table.

const get = (id) => document.getElementById(id);
const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
const known = (value) => value !== null && value !== undefined;

// coded: the answer of /encode or /open; decoded: the figures of /decode, or null before it.
export function showFigures(coded, decoded) {
  const rows = [["bytes", coded.bytes.toLocaleString("en-GB")]];
  if (coded.alpha) rows.push(["bytes of alpha", coded.parts.alpha.toLocaleString("en-GB")]);
  rows.push(["bits per pixel", coded.bpp.toFixed(3)]);
  if (known(coded.quality)) rows.push(["quality", coded.quality.toFixed(1).replace(/\.0$/, "")]);
  if (known(coded.seconds)) rows.push(["encoded in", `${coded.seconds.toFixed(2)} s`]);
  if (decoded) {
    rows.push(["decoded in", `${decoded.seconds.toFixed(2)} s`]);
    const names = { psnr: coded.alpha ? "PSNR, visible" : "PSNR", psnr_inside: "important", psnr_outside: "elsewhere" };
    for (const [name, text] of Object.entries(names)) {
      if (known(decoded[name])) rows.push([text, `${decoded[name].toFixed(2)} dB`]);
    }
  }
  get("figures").replaceChildren(...rows.map(([name, value]) => {
    const pair = element("div", "");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
  get("figures").hidden = false;
}

export function showHeader(coded) {
  const rows = Object.entries(coded.fields).map(([name, value]) => [name.replaceAll("_", " "), value]);
  for (const [name, size] of Object.entries(coded.parts)) {
    rows.push([`${name.replaceAll("_", " ")}, bytes`, size]);
  }
  get("header").replaceChildren(...rows.map(([name, value]) => {
    const row = element("tr", ""), head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", String(value)));
    return row;
  }));
}
