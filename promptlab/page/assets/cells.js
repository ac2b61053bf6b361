// One picture in the grid: what is seen of it, and where the arrow keys lead.

import { $, el, seconds } from "./viewer/elements.js";
import { viewing } from "./viewer/stage.js";

export const acts = { use: () => {}, look: () => {} }; // what a click and the glass do; filled in by the page

const shown = new Map(); // ref → cell, for those that are elements now
const current = { ref: null }; // the one that the keys act on

export function cellOf({ run, position, caption }) {
  const image = run.at.get(position);
  const cell = el("div", { class: "cell", "data-ref": image.ref });
  cell.caption = caption;
  draw(cell, image);
  shown.set(image.ref, cell);
  return cell;
}

function draw(cell, image) {
  const missing = standing(image), name = nameOf(image);
  const frame = el("button", { type: "button", class: missing ? "frame empty" : "frame", "aria-label": name, tabindex: current.ref === image.ref ? "0" : "-1" },
    missing ? el("span", {}, missing) : el("img", { alt: "", src: image.thumb, loading: "lazy", decoding: "async", draggable: "false" }));
  frame.addEventListener("click", () => { setCurrent(image.ref); acts.use(image); });
  frame.addEventListener("dblclick", () => acts.look(image));
  frame.addEventListener("focus", () => setCurrent(image.ref));
  const glass = missing ? null : el("button", { type: "button", class: "glass", tabindex: "-1", "aria-label": `See ${image.ref} large`, title: "Large (Space)", onclick: () => acts.look(image) }, "⤢");
  cell.classList.toggle("flagged", Boolean(image.flag));
  cell.classList.toggle("marked", viewing.marked.includes(image));
  cell.classList.toggle("here", current.ref === image.ref);
  const caption = cell.caption ? el("div", { class: "caption" }, ...cell.caption()) : null;
  cell.replaceChildren(...[frame, glass, caption, el("div", { class: "note" }, ...noteOf(image))].filter(Boolean));
}

function* noteOf(image) {
  yield el("span", {}, `seed ${image.seed}`);
  if (image.stars) yield el("span", { class: "stars" }, "★".repeat(image.stars));
  if (image.favourite) yield el("span", { class: "heart" }, "♥");
  if (image.flag) yield el("span", { class: "flag" }, image.flag);
  if (image.verified) yield el("span", { class: image.verified }, image.verified);
  else if (image.linked) yield el("span", { title: "The same recipe was made before" }, `as ${image.linked}`);
}

export function standing(image) {
  if (!image || image.nowhere) return "nothing here";
  if (image.status === "OWED") return image.of?.status === "RUNNING" || image.of?.status === "SCHEDULED" ? "…" : "not made";
  if (image.status === "FAILED") return image.error ? `failed: ${image.error}` : "failed";
  return image.full ? "" : "its file is not there";
}

// One line that names a picture.
export function nameOf(image) {
  const { of, wording } = image;
  const words = of.variants.length > 1 ? wording.label || wording.prompt : "";
  return [image.ref, words, `seed ${image.seed}`, standing(image).replace("…", "not made yet"), image.stars ? `${image.stars} stars` : "", image.favourite ? "favourite" : "", image.flag]
    .filter(Boolean).join(" · ");
}

// News of a picture, shown where it is seen.
export function redraw(image) {
  const cell = shown.get(image.ref);
  if (!cell?.isConnected) { shown.delete(image.ref); return; }
  const focused = cell.contains(document.activeElement);
  draw(cell, image);
  if (focused) cell.firstChild.focus({ preventScroll: true });
}

// Cells that are no elements of the page any more.
export function drop(cells) {
  for (const cell of cells) if (shown.get(cell.dataset.ref) === cell) shown.delete(cell.dataset.ref);
}

export const cellAt = (ref) => { const cell = shown.get(ref); return cell?.isConnected ? cell : null; };

export const currentRef = () => current.ref;

export function setCurrent(ref) {
  const was = cellAt(current.ref);
  was?.classList.remove("here");
  was?.firstChild.setAttribute("tabindex", "-1");
  current.ref = ref;
  const cell = cellAt(ref);
  cell?.classList.add("here");
  cell?.firstChild.setAttribute("tabindex", "0");
}

// The picture that can be reached by Tab: the current one, or the first one there is.
export function holdTabStop() {
  if (cellAt(current.ref)) return;
  $("tree").querySelector(".cell .frame")?.setAttribute("tabindex", "0");
}

// The cell next to one, by an arrow key: on its line, else the nearest one above or below.
export function neighbour(cell, key) {
  const all = [...$("tree").querySelectorAll(".cell")];
  if (key === "ArrowLeft" || key === "ArrowRight") return all[all.indexOf(cell) + (key === "ArrowRight" ? 1 : -1)] ?? null;
  const box = cell.getBoundingClientRect(), middle = box.left + box.width / 2, sign = key === "ArrowDown" ? 1 : -1;
  let best = null, least = Infinity;
  for (const other of all) {
    const there = other.getBoundingClientRect(), away = sign * (there.top - box.top);
    if (away < 2) continue;
    const cost = away * 10 + Math.abs(there.left + there.width / 2 - middle);
    if (cost < least) { best = other; least = cost; }
  }
  return best;
}

export const took = (image) => image.seconds === null || image.seconds === undefined ? null : seconds(image.seconds);
