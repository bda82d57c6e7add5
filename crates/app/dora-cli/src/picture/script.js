"use strict";
const picture = document.getElementById("picture"), tip = document.getElementById("tip");
const details = document.getElementById("details"), data = JSON.parse(document.getElementById("data").textContent);
const [, , width, height] = picture.getAttribute("viewBox").split(" ").map(Number);
const all = selector => [...picture.querySelectorAll(selector)];
let view, press = null;

function show(next) {
  view = next;
  picture.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
}
function fit() { // everything, but never larger than life
  const w = Math.max(width, innerWidth / 1.25), h = Math.max(height, innerHeight / 1.25);
  show({ x: (width - w) / 2, y: (height - h) / 2, w, h });
}
function point(x, y) { // from the window into the picture
  const scale = Math.max(view.w / innerWidth, view.h / innerHeight);
  return { x: view.x + view.w / 2 + (x - innerWidth / 2) * scale, y: view.y + view.h / 2 + (y - innerHeight / 2) * scale, scale };
}
function zoom(factor, x = innerWidth / 2, y = innerHeight / 2) {
  const at = point(x, y), w = Math.min(Math.max(view.w * factor, 200), 8 * Math.max(width, innerWidth)), by = w / view.w;
  show({ x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by, w, h: view.h * by });
}
function choose(item) { // a node, or nothing
  const chosen = item !== undefined && data[item] ? item : undefined, near = new Set([chosen]);
  for (const wire of all(".wire")) {
    const lit = chosen !== undefined && [wire.dataset.from, wire.dataset.to].includes(chosen);
    wire.classList.toggle("lit", lit);
    if (lit) near.add(wire.dataset.from).add(wire.dataset.to);
  }
  for (const card of all("[data-item]")) {
    card.classList.toggle("near", near.has(card.dataset.item));
    card.classList.toggle("chosen", card.dataset.item === chosen);
  }
  picture.classList.toggle("choice", chosen !== undefined);
  details.hidden = chosen === undefined;
  if (chosen === undefined) return;
  const list = document.createElement("dl"), add = (tag, text) => list.appendChild(document.createElement(tag)).textContent = text;
  for (const [what, value] of data[chosen].facts) { add("dt", what); add("dd", value); }
  for (const [key, word] of [["in", "inputs"], ["out", "goes to"]]) {
    if (data[chosen][key].length) add("dt", word);
    for (const line of data[chosen][key]) add("dd", line);
  }
  const title = document.createElement("h2");
  title.textContent = data[chosen].title;
  details.replaceChildren(title, list);
}
const itemOf = target => target.closest?.("[data-item]")?.dataset.item;

picture.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(e.deltaY * 0.0015), e.clientX, e.clientY); }, { passive: false });
picture.addEventListener("pointerdown", e => { press = { x: e.clientX, y: e.clientY, from: view, item: itemOf(e.target), moved: false }; });
addEventListener("pointermove", e => {
  if (press) {
    press.moved ||= Math.hypot(e.clientX - press.x, e.clientY - press.y) > 4;
    const scale = point(0, 0).scale;
    if (press.moved) show({ ...press.from, x: press.from.x + (press.x - e.clientX) * scale, y: press.from.y + (press.y - e.clientY) * scale });
    picture.classList.toggle("held", press.moved);
  }
  const wire = !press && e.target.closest?.(".wire[data-label]");
  tip.hidden = !wire;
  if (!wire) return;
  tip.textContent = wire.dataset.label;
  tip.style.left = `${Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
});
addEventListener("pointerup", () => { if (press && !press.moved) choose(press.item); press = null; picture.classList.remove("held"); });
addEventListener("keydown", e => {
  const act = { Escape: () => choose(), "+": () => zoom(0.8), "-": () => zoom(1.25), 0: fit, Enter: () => choose(itemOf(e.target)) }[e.key];
  if (act) act();
});
addEventListener("resize", fit);
for (const [id, act] of [["in", () => zoom(0.8)], ["out", () => zoom(1.25)], ["fit", fit]]) document.getElementById(id).onclick = act;
fit();
