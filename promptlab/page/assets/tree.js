// Generations below one another, the newest first: each with where it came from and what changed, and its pictures.

import { $, css, el, seconds } from "./viewer/elements.js";
import { diffNodes, markNodes } from "./viewer/words.js";
import { blocksOf, blockWith, forget } from "./blocks.js";
import { cellAt, holdTabStop, setCurrent } from "./cells.js";
import { keyOf, runs, showSeeds } from "./runs.js";

const LANE = 14, LANES = innerWidth < 700 ? 2 : 5, EDGE = 22, GAP = 10, LABEL = 140;
const FOLDED = "promptlab-folded";

// What a generation's buttons do, and which runs are shown; filled in by the page.
export const handles = { seeds: () => {}, resume: () => {}, shows: () => true };

const generations = new Map(); // key → { key, runs, node, blocks, head, body, rail }
const folded = new Set(JSON.parse(sessionStorage.getItem(FOLDED) ?? "[]"));
let lanesShown = 1, room = 0; // room: pixels for pictures, measured once for all that is laid out at a time
let chosen = Number(localStorage.getItem("promptlab-size")) || 0; // pixels of a picture, where somebody has chosen

// On a telephone two stand side by side.
export const cellSize = () => chosen || (innerWidth < 700 ? Math.floor((room - GAP) / 2) : 180);

export function setSize(to) {
  chosen = to;
  localStorage.setItem("promptlab-size", String(to));
  layOutAll();
}

const measure = () => { room = $("tree").clientWidth - EDGE - LANE * (lanesShown - 1); };

function layOutAll() {
  measure();
  for (const one of generations.values()) layOut(one);
}

// Show the runs there are, each at its place; generations that are there already stay as they are.
export function showTree(changed = []) {
  for (const run of runs.values()) {
    if (!handles.shows(run)) continue;
    const key = keyOf(run), one = generations.get(key) ?? { key, runs: [], blocks: [] };
    generations.set(key, one);
    if (!one.runs.includes(run)) { one.runs.push(run); one.runs.sort((a, b) => a.id - b.id); one.stale = true; }
    if (changed.includes(run.id)) one.stale = true;
  }
  const list = inOrder();
  for (const one of list) if (!one.node) make(one);
  if (drawRails(list)) for (const one of list) one.stale = true;
  measure();
  let before = $("tree").firstChild;
  for (const one of list) {
    if (one.stale) { drawHead(one); layOut(one); one.stale = false; }
    if (one.node === before) before = before.nextSibling;
    else $("tree").insertBefore(one.node, before);
  }
  holdTabStop();
}

const newest = (one) => one.runs.at(-1).id;
const inOrder = () => [...generations.values()].sort((a, b) => newest(b) - newest(a));

function make(one) {
  one.rail = el("div", { class: "rail", "aria-hidden": "true" });
  one.head = el("div", { class: "generation-head" });
  one.body = el("div", { class: "generation-body" });
  one.node = el("section", { class: "generation", id: one.key, "aria-label": nameOf(one) }, one.rail, el("div", { class: "inner" }, one.head, one.body));
}

const nameOf = ({ runs: some }) => some[0].sweep ? `Sweep ${some[0].sweep.id}` : `Run ${some[0].id}`;

// What this generation is: number, words with what changed, setting and seeds that changed, and how far it is.
export function drawHead(one) {
  const [run] = one.runs, closed = folded.has(one.key);
  const words = el("p", { class: "headline" }, ...headWords(one));
  const made = one.runs.reduce((sum, some) => sum + some.made, 0), asked = one.runs.reduce((sum, some) => sum + some.images_count, 0);
  const live = one.runs.some((some) => some.status === "RUNNING" || some.status === "SCHEDULED");
  const ended = one.runs.find((some) => some.status === "FAILED" || some.status === "KILLED");
  const parent = run.parent, from = parent && (parent.position ?? null) !== null ? `${parent.run}/${parent.position}` : parent && String(parent.run);
  const facts = [
    made === asked ? `${asked} ${asked === 1 ? "picture" : "pictures"}` : `${made} of ${asked} pictures`,
    run.seconds && !one.runs[1] ? `${seconds(run.seconds)} a picture` : null,
    run.name, run.note, run.origin ? `from ${run.origin.program}` : null,
  ].filter(Boolean).join(" · ");
  const fold = el("button", { type: "button", class: "fold", "aria-expanded": String(!closed), "aria-label": `${nameOf(one)}: pictures`, onclick: () => foldOne(one) }, closed ? "▸" : "▾");
  const link = (name, href, title) => href ? el("a", { href, title, target: "_blank", rel: "noopener" }, name) : null;
  const focused = [...one.head.querySelectorAll("a, button")].indexOf(document.activeElement);
  one.head.replaceChildren(
    el("div", { class: "title" },
      fold,
      el("h2", {}, el("a", { class: "jump", href: `/run/${run.id}` }, nameOf(one))),
      from ? el("a", { class: "jump origin", href: `/run/${from}`, title: "What it was varied from (P)" }, `← ${from}`) : "",
      el("span", { class: "quiet" }, facts),
      live ? el("span", { class: "live" }, "being made") : ended ? el("span", { class: "flag" }, ended.status.toLowerCase()) : "",
      el("span", { class: "gap" }),
      el("span", { class: "links" },
        ended && made < asked ? el("button", { type: "button", onclick: () => handles.resume(ended) }, "Resume") : "",
        el("button", { type: "button", title: "Same words, new seeds (N)", onclick: () => handles.seeds(run) }, "New seeds"),
        link("report", run.sweep && one.runs.length > 1 ? !live && run.sweep.report : run.report, "The file one sends"), link("MLflow", run.mlflow_url, "Its page in MLflow"))),
    words,
    el("ul", { class: "changes" }, ...changesOf(one).map((some) => el("li", {}, ...some))));
  one.node.setAttribute("aria-label", nameOf(one));
  if (ended?.error) one.head.append(el("p", { class: "warning" }, ended.error));
  if (focused >= 0) one.head.querySelectorAll("a, button")[focused]?.focus({ preventScroll: true });
}

function headWords({ runs: [run] }) {
  const [first] = run.variants;
  if (run.variants.length === 1) return first.marks ? markNodes(first.marks) : [first.prompt || "(no words)"];
  if (first.template) return [first.template];
  return first.marks ? markNodes(first.marks) : [first.prompt];
}

function changesOf({ runs: some }) {
  const [run] = some, found = [], varied = new Set();
  if (some.length > 1) {
    const names = new Map();
    for (const one of some) for (const [name, text] of one.sweep?.values ?? []) names.set(name, (names.get(name) ?? new Set()).add(text));
    for (const name of names.keys()) varied.add(name);
    for (const [name, texts] of names) if (texts.size > 1) found.push([el("b", {}, name.replaceAll("_", " ")), ` ${[...texts].slice(0, 8).join(", ")}${texts.size > 8 ? " …" : ""}`]);
  }
  for (const { what, from, to } of run.change ?? []) if (!varied.has(what)) found.push([el("b", {}, what.replaceAll("_", " ")), " ", el("del", {}, from), " ", el("ins", {}, to)]);
  if (!run.parent) found.push([el("b", {}, "seeds"), ` ${showSeeds(run.seeds.slice(0, 40))}${run.seeds.length > 40 ? " …" : ""}`]);
  if (run.variants.length === 1 && run.variants[0].negative) found.push([el("b", {}, "not"), ` ${run.variants[0].negative}`]);
  for (const { words } of run.cut ?? []) found.push([el("span", { class: "warning" }, `not read: ${[words].flat().join(" ")}`)]);
  return found;
}

// The lines of a generation: one for each wording and, in a sweep, each setting. Lines of one picture stand side by side.
function linesOf(one) {
  const lines = [];
  const entriesOf = (run, from, count) => Array.from({ length: count }, (_, at) => ({ run, position: from + at, caption: null, captionHeight: 0 }));
  for (const run of one.runs) {
    const across = run.seeds.length;
    if (run.variants.length * across !== run.images_count) lines.push({ label: () => [], entries: entriesOf(run, 0, run.images_count) }); // more than are told
    else for (const variant of run.variants) lines.push({ label: () => labelOf(one, run, variant), entries: entriesOf(run, variant.index * across, across) });
  }
  if (lines.length > 1 && lines.every((line) => line.entries.length === 1))
    return [{ label: null, entries: lines.map(({ label, entries }) => ({ ...entries[0], caption: label, captionHeight: 22 })) }];
  if (lines.length === 1) lines[0].label = null;
  return lines;
}

function labelOf(one, run, variant) {
  const parts = [];
  if (one.runs.length > 1) for (const [name, text] of run.sweep?.values ?? []) parts.push(el("b", {}, `${name.replaceAll("_", " ")} ${text}`));
  if (run.variants.length > 1) {
    if (variant.label && variant.label !== variant.prompt) parts.push(el("b", {}, variant.label));
    else parts.push(el("span", { class: "wording" }, ...(variant.marks ? markNodes(variant.marks) : variant.index ? diffNodes(run.variants[0].prompt, variant.prompt) : [variant.prompt])));
  }
  return parts;
}

// Whoever acts by keys keeps the picture that has the focus: news of its run must not take it away.
function layOut(one) {
  const held = one.body.contains(document.activeElement) ? document.activeElement.closest(".cell")?.dataset.ref : null;
  forget(one.blocks);
  one.blocks = [];
  const closed = folded.has(one.key);
  one.body.hidden = closed;
  if (closed) return one.body.replaceChildren();
  const wide = innerWidth >= 900, lines = linesOf(one);
  const free = room - (lines[0]?.label && wide ? LABEL : 0), cell = Math.min(cellSize(), free);
  css(one.body, "cell", `${cell}px`);
  one.body.replaceChildren(...lines.map(({ label, entries }) => {
    const blocks = blocksOf(entries, cell, free);
    one.blocks.push(...blocks);
    return el("div", { class: label ? "line-of labelled" : "line-of" }, label ? el("div", { class: "label" }, ...label()) : "", el("div", { class: "blocks" }, ...blocks));
  }));
  if (held && blockWith(one.body, held)) cellAt(held)?.firstChild.focus({ preventScroll: true });
}

export function foldOne(one) {
  if (folded.has(one.key)) folded.delete(one.key); else folded.add(one.key);
  sessionStorage.setItem(FOLDED, JSON.stringify([...folded]));
  drawHead(one);
  layOut(one);
  one.head.querySelector(".fold").focus({ preventScroll: true });
}

// The lineage at the left edge, as lines between generations: a lane goes from a generation down to what it came from.
// Says whether the edge had to be made wider.
function drawRails(list) {
  const lanes = [], was = lanesShown; // of each lane, what it leads down to
  for (const one of list) {
    const parent = one.runs[0].parent, above = parent && runs.get(parent.run), to = parent ? (above ? keyOf(above) : `run-${parent.run}`) : null;
    const coming = lanes.flatMap((key, at) => key === one.key ? [at] : []);
    let own = coming[0] ?? lanes.indexOf(null);
    if (own < 0) own = lanes.length;
    const marks = [];
    const line = (lane, part) => { if (lane < LANES) marks.push(css(el("span", { class: `lane ${part}` }), "lane", lane)); };
    lanes.forEach((key, lane) => { if (key !== null && key !== one.key) line(lane, "through"); });
    for (const lane of coming) line(lane, "down-to");
    for (const lane of coming.slice(1)) { lanes[lane] = null; if (lane < LANES) marks.push(css(css(el("span", { class: "lane join" }), "lane", own), "to", lane - own)); }
    lanes[own] = to;
    lanesShown = Math.max(lanesShown, Math.min(LANES, lanes.length));
    if (to) line(own, "on");
    if (own < LANES) marks.push(css(el("span", { class: "lane dot" }), "lane", own));
    const drawn = marks.map((mark) => `${mark.className}${mark.style.cssText}`).join();
    if (one.drawn !== drawn) { one.rail.replaceChildren(...marks); one.drawn = drawn; }
    while (lanes.at(-1) === null) lanes.pop();
  }
  css($("tree"), "edge", `${EDGE + LANE * (lanesShown - 1)}px`);
  return lanesShown !== was;
}

export const generationOf = (run) => generations.get(keyOf(run));
export const generationAt = (node) => generations.get(node?.closest(".generation")?.id) ?? null;
export const allGenerations = inOrder;

// Bring a run, or one picture of it, into sight and give it the focus.
export function show(run, position = null, { focus = true } = {}) {
  const one = generationOf(run);
  if (folded.has(one.key)) foldOne(one);
  for (const other of document.querySelectorAll(".generation.target")) other.classList.remove("target");
  one.node.classList.add("target");
  if (position === null) {
    one.node.scrollIntoView({ block: "start" });
    if (focus) one.head.querySelector("h2 a").focus({ preventScroll: true });
    return;
  }
  const ref = `${run.id}/${position}`, block = blockWith(one.node, ref);
  setCurrent(ref);
  const cell = cellAt(ref) ?? block;
  cell?.scrollIntoView({ block: "center" });
  if (focus) cellAt(ref)?.firstChild.focus({ preventScroll: true });
}

let width = innerWidth;
addEventListener("resize", () => {
  if (width === innerWidth) return;
  width = innerWidth;
  layOutAll();
});
