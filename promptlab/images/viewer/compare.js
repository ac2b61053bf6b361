// Two pictures in one place: flicker, slider, difference, side by side. Nothing reads a pixel, so a picture from another
// address can be compared too: the difference is the browser's own blending.

import { $, css, el, titled } from "./elements.js";
import { fill, fromWhere, gallery, openViewer, shownAs, sizeStage, stopFlicker, viewing } from "./stage.js";
import { diffNodes } from "./words.js";

const MODES = [["flicker", "Flicker"], ["slider", "Slider"], ["difference", "Difference"], ["beside", "Side by side"]];
const comparing = { mode: "flicker", second: false, at: 50, gain: 1 };

export function mark(image) {
  const at = viewing.marked.indexOf(image);
  if (at >= 0) viewing.marked.splice(at, 1);
  else viewing.marked = [...viewing.marked, image].slice(-2);
  if (viewing.image) $("mark").setAttribute("aria-pressed", String(viewing.marked.includes(viewing.image)));
  const both = at < 0 && viewing.marked.length === 2;
  gallery.marked(both ? "" : at < 0 ? `${gallery.called(image)} is marked; mark another one with C.` : "No longer marked.");
  if (both) openCompare(...viewing.marked);
}

export function openCompare(a, b) {
  viewing.pair = [a, b];
  viewing.image = null;
  $("viewer").classList.add("comparing");
  $("modes").hidden = false;
  $("modes").replaceChildren(...MODES.map(([mode, name], at) =>
    el("button", { "data-mode": mode, title: `${name} (${at + 1})`, onclick: () => setMode(mode) }, name)));
  const both = a.nowhere || b.nowhere ? "A and B" : `A and B at seed ${a.seed}`;
  $("viewer-title").textContent = a.seed === b.seed || both === "A and B" ? both : `A at seed ${a.seed}, B at seed ${b.seed}: different noise`;
  const pair = el("div", { class: "pair" });
  const [noA, noB] = [a, b].map(gallery.standing);
  if (noA || noB) $("stage").replaceChildren(el("p", { class: "nothing" }, `A: ${noA || "made"}; B: ${noB || "made"}`));
  else {
    const shown = [["a", a], ["b", b]].map(([which, image]) =>
      [el("img", { class: which, alt: `${which.toUpperCase()}: ${gallery.called(image)}`, draggable: "false" }), image, which]);
    pair.append(...shown.map(([img]) => img), el("span", { class: "letter a" }, "A"), el("span", { class: "letter b" }, "B"));
    $("stage").replaceChildren(pair, controls(pair));
    viewing.from = {};
    for (const [img, image, which] of shown) fill(img, image, (from) => fromWhere(which, from));
  }
  $("facts").replaceChildren(...differences(a, b));
  setMode(comparing.mode, false);
  shownAs();
}

function controls(pair) {
  const range = (id, min, max, value, set) => {
    const made = el("input", { id, type: "range", min, max, step: "0.5", oninput: () => set(Number(made.value)) });
    made.value = value;
    return made;
  };
  const slide = range("slide", "0", "100", comparing.at, (at) => {
    comparing.at = at;
    css(pair, "at", `${at}%`);
  });
  slide.setAttribute("aria-label", "Where A ends and B begins");
  const gain = range("gain", "1", "16", comparing.gain, (value) => {
    comparing.gain = value;
    css(pair, "gain", value);
  });
  css(pair, "at", `${comparing.at}%`);
  css(pair, "gain", comparing.gain);
  const drag = (event) => {
    if (pair.dataset.mode !== "slider" || !(event.buttons & 1)) return;
    const box = pair.getBoundingClientRect();
    slide.value = Math.max(0, Math.min(100, (event.clientX - box.left) / box.width * 100));
    slide.dispatchEvent(new Event("input"));
  };
  pair.addEventListener("pointerdown", drag);
  pair.addEventListener("pointermove", drag);
  return el("div", { class: "controls" },
    el("label", { class: "for-slider" }, "A ", slide, " B"),
    el("label", { class: "for-difference" }, "stronger ", gain),
    el("button", { class: "for-flicker", id: "other", onclick: () => { stopFlicker(); turnOver(); } }, "The other (Space)"));
}

function setMode(mode, sized = true) {
  comparing.mode = mode;
  stopFlicker();
  const pair = $("stage").querySelector(".pair");
  for (const button of $("modes").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  if (!pair) return;
  $("stage").dataset.mode = pair.dataset.mode = mode;
  comparing.second = false;
  pair.classList.remove("second");
  if (mode === "flicker" && !matchMedia("(prefers-reduced-motion: reduce)").matches) viewing.timer = setInterval(turnOver, 700);
  if (sized) sizeStage();
}

function turnOver() {
  comparing.second = !comparing.second;
  $("stage").querySelector(".pair")?.classList.toggle("second", comparing.second);
}

// What tells the two apart; what each page knows of that comes first.
function differences(a, b) {
  const heads = ["", "A", "B"].map((name) => el("th", { scope: "col" }, name));
  const table = el("table", { class: "two" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...gallery.apart(a, b)));
  const parts = [titled("A and B", table)];
  if (a.nowhere || b.nowhere) return parts;
  for (const [name, one, other] of [
    ["Words, from A to B", a.wording.prompt, b.wording.prompt],
    ["Negative prompt, from A to B", a.wording.negative ?? "", b.wording.negative ?? ""],
  ]) if (one !== other) parts.push(titled(name, el("p", { class: "words" }, ...diffNodes(one, other))));
  if (a.pixels && a.pixels === b.pixels) parts.push(el("p", { class: "same" }, "The pixels are the same, to the last bit."));
  const about = (name, image) => el("button", { onclick: () => openViewer(image) }, `Everything about ${name}`);
  parts.push(el("p", { class: "open" }, about("A", a), about("B", b)));
  return parts;
}

// A row of the table that tells two apart.
export function differing(name, one, other) {
  return el("tr", { class: one === other ? "" : "differs" },
    el("th", { scope: "row" }, name), el("td", {}, String(one)), el("td", {}, String(other)));
}

// Settings, as pairs of name and value, that two pictures do not share: name, the one's, the other's.
export function unlike(some, others) {
  const found = new Map(some.map(([name, value]) => [name, [value, ""]]));
  for (const [name, value] of others) found.set(name, [found.get(name)?.[0] ?? "", value]);
  return [...found].filter(([, [one, other]]) => one !== other).map(([name, [one, other]]) => [name, one, other]);
}

export function compareKey(event) {
  const mode = MODES[Number(event.key) - 1];
  if (mode) setMode(mode[0]);
  else if (event.target.type === "range") return false;
  else if (event.key === " " && comparing.mode === "flicker" && event.target.tagName !== "BUTTON") { stopFlicker(); turnOver(); }
  else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    const pair = gallery.pairAfter(...viewing.pair, event.key === "ArrowRight" ? 1 : -1);
    if (pair) openCompare(...pair);
  } else return false;
  return true;
}
