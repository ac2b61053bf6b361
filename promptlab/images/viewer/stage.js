// One picture, large, on the stage that a comparison uses too.

import { $, css, el } from "./elements.js";

// What the page says of its pictures, filled in by each page once. A picture has `seed`, `wording` (prompt, negative),
// `pixels`, `width`, `height`, and `nowhere` when it only stands for a place where none is.
export const gallery = {
  called: () => "", // one line that names a picture
  standing: () => "", // why there is no picture; empty when there is one
  small: () => null, // address of a small picture
  originals: () => [], // where the original may be, best guess first
  facts: () => [], // elements: everything recorded about one
  apart: () => [], // rows of a table: what tells two of them apart
  pairAfter: () => null, // the two that come after two, one step on or back
  marked: () => {}, // told when pictures were marked for comparison, with a sentence
  step: () => {}, // the picture next to the one shown, by an arrow key
  shown: () => {}, // told when something is on the stage
  closed: () => {}, // told when the viewer has closed
};

export const viewing = { image: null, pair: null, marked: [], zoom: 0, sharp: false, from: {}, timer: 0 };
const STEPS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8];

const lost = new Set(); // addresses at which nothing was

// Ask once more for what was not there: the server may have been away.
export const tryAgain = () => lost.clear();

// Put the original into `img`, or else the thumbnail, and tell `said` which: "original", "thumbnail" or "nothing".
export function fill(img, image, said = () => {}) {
  const [next] = gallery.originals(image).filter((address) => !lost.has(address));
  const small = gallery.small(image);
  if (small && !img.src) img.src = small;
  if (!next) {
    if (small) img.src = small;
    said(small ? "thumbnail" : "nothing");
    return;
  }
  const probe = new Image();
  img.dataset.wanted = next;
  probe.onload = () => {
    if (img.dataset.wanted !== next) return; // another picture was asked for meanwhile
    img.src = next;
    said("original");
  };
  probe.onerror = () => {
    lost.add(next);
    if (img.dataset.wanted === next) fill(img, image, said);
  };
  probe.src = next;
}

export function openViewer(image) {
  if (!image) return;
  viewing.image = image;
  viewing.pair = null;
  stopFlicker();
  $("modes").hidden = true;
  $("viewer").classList.remove("comparing");
  $("viewer-title").textContent = gallery.called(image);
  const img = el("img", { class: "a", alt: gallery.called(image), draggable: "false" });
  const missing = gallery.standing(image);
  $("stage").replaceChildren(missing ? el("p", { class: "nothing" }, missing) : css(el("div", { class: "pair" }, img), "gain", 1));
  $("facts").replaceChildren(...gallery.facts(image));
  viewing.from = {};
  if (!missing) fill(img, image, (from) => fromWhere("a", from));
  shownAs();
}

export function shownAs() {
  for (const name of ["mark", "before", "after"]) $(name).hidden = Boolean(viewing.pair);
  if (viewing.image) $("mark").setAttribute("aria-pressed", String(viewing.marked.includes(viewing.image)));
  gallery.shown();
  if (!$("viewer").open) { $("viewer").showModal(); $("stage").focus(); }
  $("facts").scrollTop = 0;
  sizeStage();
}

// A thumbnail in place of an original is said, never passed off as the picture.
export function fromWhere(which, from) {
  viewing.from[which] = from;
  $("stage").querySelector("p.from")?.remove();
  for (const one of ["a", "b"]) $("stage").querySelector(`img.${one}`)?.classList.toggle("enlarged", viewing.from[one] === "thumbnail");
  const poor = Object.entries(viewing.from).filter(([, from]) => from === "thumbnail").map(([one]) => one.toUpperCase());
  const whose = viewing.pair ? `${poor.join(" and ")}: ` : "";
  if (poor.length) $("stage").append(el("p", { class: "from" }, `${whose}small picture, enlarged; the original could not be loaded from here`));
}

export function sizeStage() {
  const pair = $("stage").querySelector(".pair"), image = viewing.pair ? viewing.pair.find((one) => one?.width) : viewing.image;
  if (!pair || !image) return;
  const width = image.width ?? 512, height = image.height ?? 512, two = pair.dataset.mode === "beside" ? 2 : 1;
  const roomWide = ($("stage").clientWidth - 24) / two - (two - 1) * 6, roomHigh = $("stage").clientHeight - (viewing.pair ? 84 : 24);
  const apart = Math.min(roomWide / width, roomHigh / height), above = Math.min(($("stage").clientWidth - 24) / width, (roomHigh / 2 - 6) / height);
  const stacked = two === 2 && above > apart, fit = stacked ? above : apart;
  const scale = viewing.zoom || Math.max(0.05, Math.min(fit, Math.max(1, 768 / Math.max(width, height))));
  viewing.scale = scale;
  pair.classList.toggle("stacked", stacked);
  css(pair, "width", `${Math.round(width * scale)}px`);
  css(pair, "height", `${Math.round(height * scale)}px`);
  pair.classList.toggle("sharp", viewing.sharp);
  $("sharp").setAttribute("aria-pressed", String(viewing.sharp));
  $("sharp").hidden = scale <= 1;
  $("zoom-fit").textContent = viewing.zoom ? `${Math.round(scale * 100)} %` : "fit";
  $("zoom-fit").setAttribute("aria-label", viewing.zoom ? "Fit" : `Fitted, ${Math.round(scale * 100)} %`);
}

export function zoom(direction) {
  const now = viewing.scale ?? 1;
  if (direction === 0) viewing.zoom = 0;
  else viewing.zoom = direction > 0 ? STEPS.find((step) => step > now * 1.01) ?? 8 : STEPS.findLast((step) => step < now * 0.99) ?? 0.25;
  sizeStage();
}

// Enlarged pictures are smooth, as one looks at them; their pixels as squares are for who asks.
export function showPixels() {
  viewing.sharp = !viewing.sharp;
  sizeStage();
}

export function stopFlicker() {
  clearInterval(viewing.timer);
  viewing.timer = 0;
}
