"use strict";
const tip = document.getElementById("tip");

function show(dot) {
  document.querySelectorAll(".dot.on").forEach((other) => other.classList.remove("on"));
  tip.textContent = dot ? dot.dataset.tip : "";
  if (!dot) return;
  dot.classList.add("on");
  const place = dot.getBoundingClientRect(), box = tip.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const left = Math.min(Math.max(4, place.left + place.width / 2 - box.width / 2), wide - box.width - 4);
  const above = place.top - box.height - 8;
  tip.style.transform = "translate(" + left + "px," + (above < 4 ? place.bottom + 8 : above) + "px)";
}

for (const chart of document.querySelectorAll(".chart")) {
  const dots = [...chart.querySelectorAll(".dot")];
  let at = -1;
  const nearest = (event) => {
    let best = Infinity;
    dots.forEach((dot, n) => {
      const box = dot.getBoundingClientRect();
      const far = Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
      if (far < best) { best = far; at = n; }
    });
    show(best < 60 ? dots[at] : null);
  };
  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(null); });
  chart.addEventListener("blur", () => show(null));
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step) return;
    event.preventDefault();
    at = (at + step + dots.length) % dots.length;
    show(dots[at]);
  });
}
addEventListener("scroll", () => show(document.querySelector(".dot.on")), { passive: true });

const row = (kind, words) => {
  const line = document.createElement("tr");
  words.forEach((word, n) => {
    const cell = document.createElement(n ? kind : "th");
    cell.scope = kind === "th" ? "col" : "row";
    cell.textContent = word;
    line.append(cell);
  });
  return line;
};
const options = (labels, chosen) => labels.map((label, n) => new Option(label, n, false, n === chosen));

for (const part of document.querySelectorAll(".compare")) {
  const name = part.dataset.name, figures = [...part.querySelectorAll(".decoded figure")];
  const images = figures.map((figure) => figure.querySelector("img"));
  const labels = figures.map((figure) => figure.querySelector("strong").textContent);
  const facts = figures.map((figure) => new Map([...figure.querySelectorAll("dt")]
    .map((term) => [term.textContent, term.nextElementSibling.textContent])));
  const terms = new Set(facts.flatMap((map) => [...map.keys()]));
  part.querySelector(".decoded").replaceWith(document.getElementById("comparison").content.cloneNode(true));
  const find = (selector) => part.querySelector(selector);
  const stage = find(".stage"), slider = find("input");
  stage.prepend(...images);
  const [wide, high] = ["width", "height"].map((side) => Number(images[0].getAttribute(side)));
  stage.style.setProperty("--width", wide + "px");
  stage.style.setProperty("--shape", wide / high);
  find(".left-choice").append(...options(labels, 0));
  find(".right-choice").append(...options(labels, 1));
  slider.setAttribute("aria-label", "Divider between the two images of " + name);
  const refresh = () => {
    const shown = {}, picked = [];
    for (const side of ["left", "right"]) {
      const chosen = find("." + side + "-choice").selectedIndex;
      shown[side] = labels[chosen];
      picked.push(chosen);
      images.forEach((image, n) => image.classList.toggle(side, n === chosen));
      find("." + side + "-chip").textContent = labels[chosen];
    }
    const rows = [row("th", ["", "left: " + shown.left, "right: " + shown.right])];
    for (const term of terms) rows.push(row("td", [term, ...picked.map((n) => facts[n].get(term) || "–")]));
    find(".facts-table").replaceChildren(...rows);
    stage.style.setProperty("--split", slider.value + "%");
    slider.setAttribute("aria-valuetext", slider.value + " % " + shown.left + ", the rest " + shown.right);
    const size = find(".size").value;
    find(".view").classList.toggle("fits", size === "0");
    find(".view").classList.toggle("sharp", size === "2");
    stage.style.setProperty("--zoom", size === "2" ? 2 : 1);
  };
  part.addEventListener("input", refresh);
  refresh();
}
