// Pictures looked at large, compared, judged: what the viewer, the comparison and the vote ask of this page.

import { $, copied, el, listed, seconds, titled } from "./viewer/elements.js";
import { differing, openCompare, unlike } from "./viewer/compare.js";
import { placeViewer } from "./viewer/dialog.js";
import { gallery, openViewer, viewing } from "./viewer/stage.js";
import { booth, fieldsOf, placeVote } from "./viewer/vote.js";
import { markNodes } from "./viewer/words.js";
import { cellAt, nameOf, redraw, setCurrent, standing, took } from "./cells.js";
import { before, runs } from "./runs.js";
import { act } from "./server.js";
import { generationAt, generationOf, allGenerations } from "./tree.js";

let page = {}; // the page's acts: use, seeds, more, notify

export function placeLooking(acts) {
  page = acts;
  Object.assign(gallery, {
    called: nameOf, standing, facts, apart, pairAfter, step,
    small: (image) => image.thumb,
    originals: (image) => image.full ? [image.full] : [],
    marked: showMarked,
    closed: () => cellAt(last?.ref)?.firstChild.focus(),
  });
  Object.assign(booth, {
    forgot: ({ winner, loser }) => act("/api/votes/undo", { winner: winner.ref, loser: loser.ref }).catch((error) => page.notify(error.message, true)),
    fields: () => fieldsOf(contenders()),
    answered: ({ winner, loser, tie }) => act("/api/votes", { winner: winner.ref, loser: loser.ref, tie }).catch((error) => page.notify(error.message, true)),
    keeping: "Each answer is kept at once: `promptlab best` reads them.",
    kept: "Kept.",
    ended: "All pairs are answered.",
  });
  placeViewer(el("button", { id: "use", class: "main", title: "Its seed, words and setting fill the box (Enter)", onclick: () => useShown() }, "Go on from it"));
  placeVote();
}

let last = null; // the picture looked at
let there = ""; // the options by which a terminal finds this workspace

export function placeTerminal(options) {
  there = options;
}

export function look(image) {
  last = image;
  setCurrent(image.ref);
  $("use").hidden = false;
  openViewer(image);
}

export function useShown() {
  const image = viewing.image ?? viewing.pair?.[1];
  $("viewer").close();
  if (image) page.use(image);
}

function step(key) {
  const of = generationOf(viewing.image.of), all = of.runs.flatMap((run) => [...run.at.values()].sort((a, b) => a.position - b.position));
  const next = all[all.indexOf(viewing.image) + (key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1)];
  if (next) look(next);
}

function facts(image) {
  const { of, wording } = image, parts = [];
  const from = image.parent ?? of.parent;
  parts.push(judging(image));
  parts.push(el("div", { class: "adding" },
    from ? el("button", { onclick: () => beforeAfter(image) }, "Before and after") : "",
    el("button", { onclick: () => { $("viewer").close(); page.more(image); } }, "More like it"),
    el("button", { onclick: () => { $("viewer").close(); page.seeds(of, image); } }, "New seeds"),
    el("button", { onclick: () => verify(image) }, "Verify"),
    image.full ? el("a", { class: "button", href: downloadOf(image), download: "" }, "Download") : ""));
  parts.push(titled("Prompt", el("p", { class: "words" }, ...(wording.marks ? markNodes(wording.marks) : [wording.prompt || "(no words)"]))));
  if (wording.negative) parts.push(titled("Negative prompt", el("p", { class: "words" }, wording.negative)));
  if (of.change?.length) parts.push(listed(`Changed since ${from ? refOf(from) : "its parent"}`, of.change.map(({ what, from: was, to }) => [what, `${was} → ${to}`])));
  parts.push(listed("Picture", [
    ["picture", image.ref], ["seed", image.seed], ["size", image.width && `${image.width} × ${image.height}`], ["took", took(image)], ["made in batches of", of.batch_size],
    ["flag", image.flag], ["error", image.error], ["verified", image.verified], ["the same as", image.linked],
    ["votes", image.votes_won + image.votes_lost ? `${image.votes_won} won, ${image.votes_lost} lost` : null],
    ["varied from", from && refOf(from)], ["pixels sha256", image.pixels], ["recipe key", image.recipe_key],
  ]));
  parts.push(listed("Setting", Object.entries(of.settings).map(([name, text]) => [name.replaceAll("_", " "), text])));
  parts.push(listed("Run", [["run", of.id], ["name", of.name], ["experiment", of.experiment], ["note", of.note], ["status", of.status.toLowerCase()],
    ["seconds a picture", of.seconds && seconds(of.seconds)], ["began", of.created_at?.replace("T", " ").slice(0, 19)],
    ["taken in from", of.origin && `${of.origin.program}, ${of.origin.file}`]]));
  parts.push(typed(`promptlab show ${image.ref}${there}`));
  return parts.filter(Boolean);
}

function typed(text) {
  const line = el("input", { class: "command", "aria-label": "Command", readonly: "" });
  line.value = text;
  const copy = async () => { line.focus(); line.select(); page.notify(await copied(text) ? "Copied." : "Selected: press Ctrl+C to copy."); };
  return titled("In a terminal", el("div", { class: "copying" }, line, el("button", { onclick: copy }, "Copy")));
}

const refOf = (from) => (from.position ?? null) === null ? `run ${from.run}` : `${from.run}/${from.position}`;
export const downloadOf = (image) => `/images/${image.of.id}/${image.position}.png?download=1`;

// Stars and the favourite, kept at once.
function judging(image) {
  const stars = [1, 2, 3, 4, 5].map((count) => el("button", { class: "star", "aria-label": `${count} ${count === 1 ? "star" : "stars"}`, "aria-pressed": String(image.stars === count),
    title: `${count}`, onclick: () => rate(image, count) }, (image.stars ?? 0) >= count ? "★" : "☆"));
  const heart = el("button", { class: "star heart", "aria-label": "Favourite", "aria-pressed": String(Boolean(image.favourite)), title: "Favourite (F)", onclick: () => favour(image) }, image.favourite ? "♥" : "♡");
  return el("div", { class: "judging", role: "group", "aria-label": "What you think of it" }, ...stars, heart);
}

export function rate(image, stars) {
  return judge(image, { stars }, `/api/images/${image.ref}/rating`, { stars });
}

export function favour(image) {
  return judge(image, { favourite: !image.favourite }, `/api/images/${image.ref}/favourite`, { favourite: !image.favourite });
}

async function judge(image, now, path, body) {
  const was = { stars: image.stars, favourite: image.favourite };
  Object.assign(image, now);
  refresh(image);
  try {
    Object.assign(image, await act(path, body));
  } catch (error) {
    Object.assign(image, was);
    page.notify(error.message, true);
  }
  refresh(image);
}

// Show news of a picture wherever it is seen.
export function refresh(image) {
  redraw(image);
  if (viewing.image !== image) return;
  const focused = document.activeElement?.getAttribute("aria-label"), top = $("facts").scrollTop;
  $("facts").replaceChildren(...facts(image));
  $("facts").scrollTop = top;
  if (focused && !document.activeElement?.closest("dialog")) ($("facts").querySelector(`[aria-label="${CSS.escape(focused)}"]`) ?? $("stage")).focus();
}

const asked = new Map(); // notices that pictures are verified, until the outcome is said in their place

export function verified(ref) {
  asked.get(ref)?.remove();
  asked.delete(ref);
}

export async function verify(image) {
  try {
    await act(`/api/images/${image.ref}/verify`);
    asked.set(image.ref, page.notify(`${image.ref} is made again and compared.`));
  } catch (error) {
    page.notify(error.message, true);
  }
}

export async function beforeAfter(image) {
  const was = await before(image).catch(() => null);
  if (!was) return page.notify(`${image.ref} was not varied from another picture.`);
  last = image;
  openCompare(was, image);
}

function apart(a, b) {
  const rows = [["picture", a.ref, b.ref], ["seed", a.seed, b.seed], ["took", took(a) ?? "", took(b) ?? ""], ["stars", a.stars ?? "", b.stars ?? ""]];
  return [...rows, ...unlike(Object.entries(a.of.settings), Object.entries(b.of.settings))].filter(([, one, other]) => one !== "" || other !== "").map((row) => differing(...row));
}

// Both at the next seed that they share.
function pairAfter(a, b, by) {
  const shared = a.of.seeds.filter((seed) => b.of.seeds.includes(seed));
  const find = (image, seed) => [...image.of.at.values()].find((one) => one.variant === image.variant && one.seed === seed && one.status === "MADE");
  const from = shared.indexOf(a.seed);
  for (let moved = 1; from >= 0 && moved < shared.length; moved++) {
    const seed = shared[(from + by * moved + shared.length * moved) % shared.length], pair = [find(a, seed), find(b, seed)];
    if (pair.every(Boolean)) return pair;
  }
  return null;
}

function showMarked(told) {
  for (const cell of document.querySelectorAll(".cell.marked")) cell.classList.remove("marked");
  for (const image of viewing.marked) cellAt(image.ref)?.classList.add("marked");
  $("compare").disabled = viewing.marked.length < 2;
  $("compare").textContent = viewing.marked.length ? `Compare ${viewing.marked.length}/2` : "Compare";
  if (told) page.notify(told);
}

// What is voted on: the generation that one is at and those it came from; else the newest.
function contenders() {
  const one = generationAt(document.querySelector(".cell.here")) ?? allGenerations()[0];
  if (!one) return [];
  const some = [...one.runs];
  for (let run = one.runs[0]; run?.parent && some.length < 12; run = runs.get(run.parent.run)) if (runs.get(run.parent.run)) some.push(runs.get(run.parent.run));
  return some.flatMap((run) => [...run.at.values()]).filter((image) => image.status === "MADE" && image.full);
}
