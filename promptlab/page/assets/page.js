// The page where one iterates: put together, kept true by the server's events, and driven from the keyboard.

import { $, el } from "./viewer/elements.js";
import { openCompare, mark } from "./viewer/compare.js";
import { closedByClick, setTheme, viewerKey } from "./viewer/dialog.js";
import { tryAgain, viewing } from "./viewer/stage.js";
import { openVote, voteKey } from "./viewer/vote.js";
import { acts, cellAt, currentRef, neighbour } from "./cells.js";
import { fillBox, focusPrompt, following, literal, make, ours, placeComposer, plan, planned, request, setParent, submit } from "./composer.js";
import { beforeAfter, downloadOf, favour, look, placeLooking, placeTerminal, rate, refresh, useShown, verified, verify } from "./looking.js";
import { notify } from "./notices.js";
import { placeImport } from "./import.js";
import { placeQueue, showJob, showQueue } from "./queue.js";
import { imageAt, keepImage, keepRun, runOf, runs } from "./runs.js";
import { Refusal, act, ask, askState, listen } from "./server.js";
import { allGenerations, cellSize, drawHead, foldOne, generationAt, generationOf, handles, setSize, show, showTree } from "./tree.js";

const PAGE = 20, MOST = 50; // runs asked for at once: while one looks, and at most
const experiment = new URLSearchParams(location.search).get("experiment"); // the one whose runs are shown; else all
let oldest = Infinity, more = true, loading = null;

// ---- what there is ----

const page = (limit, before = Infinity) =>
  `/api/runs?limit=${limit}${before === Infinity ? "" : `&before=${before}`}${experiment === null ? "" : `&experiment=${encodeURIComponent(experiment)}`}`;

const isShown = (run) => experiment === null || run.experiment === experiment;

const older = new IntersectionObserver((seen) => { if (seen.at(-1).isIntersecting) loadOlder(); }, { rootMargin: "1500px" });

// Asked anew each time: what came may not have moved the end out of sight.
function watchOlder() {
  older.unobserve($("older"));
  older.observe($("older"));
}

function loadOlder(limit = PAGE) {
  if (!more) return Promise.resolve();
  loading ??= ask(page(limit, oldest)).then((told) => {
    for (const run of told.runs) { keepRun(run); oldest = Math.min(oldest, run.id); }
    more = told.more;
    showTree();
    tell();
    watchOlder();
  }, (error) => notify(error.message, true)).finally(() => { loading = null; });
  return loading;
}

// What was made and changed since, where the server does not know any more what this page has heard.
async function catchUp() {
  const state = await askState(), told = [];
  sayState(state);
  showQueue(state.jobs);
  for (let before = Infinity, further = true; further;) {
    const some = await ask(page(MOST, before));
    told.push(...some.runs);
    before = some.runs.at(-1)?.id ?? 0;
    further = some.more && before > oldest;
  }
  const unsure = [...runs.values()].filter((run) => run.status === "RUNNING" || run.status === "SCHEDULED").map((run) => run.id);
  await news([...new Set([...told.map((run) => run.id), ...unsure])], told);
  watchOlder();
}

// Whether a list tells as many of a run's pictures as are known here.
const isWhole = (run) => run.images.length === run.images_count || !(runs.get(run.id)?.at.size > run.images.length);

// Runs that were made or changed: asked for, where they are not told.
async function news(ids, told = []) {
  const asked = await Promise.all(ids.map(async (id) => {
    const found = told.find((run) => run.id === id && isWhole(run)) ?? await ask(`/api/runs/${id}`).catch(() => null);
    return found && isShown(found) ? keepRun(found) : null;
  }));
  showTree(asked.filter(Boolean).map((run) => run.id));
  tell();
  for (const run of asked) if (run) lookAgain(run.id);
}

// News of the picture that is looked at.
function lookAgain(id) {
  if (viewing.image?.of.id === id) refresh(viewing.image);
}

function tell() {
  const pictures = [...runs.values()].reduce((sum, run) => sum + run.made, 0);
  $("said").textContent = runs.size ? `${runs.size}${more ? "+" : ""} ${runs.size === 1 ? "run" : "runs"}, ${pictures.toLocaleString("en")} pictures` : "Nothing has been made here yet. Type a prompt and press Enter.";
}

function sayState(state) {
  $("where").textContent = state.workspace.split("/").at(-1) || state.workspace;
  $("where").title = state.workspace;
  $("mlflow").hidden = !state.mlflow_url;
  $("mlflow").href = `/mlflow${experiment === null ? "" : `?experiment=${encodeURIComponent(experiment)}`}`;
  placeTerminal(state.there);
}

// ---- what happens ----

const soon = new Set();
let drawing = 0;

// Heads of generations change with every picture; they are drawn once for all that came meanwhile.
function redrawSoon(run) {
  soon.add(run);
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    for (const one of new Set([...soon].map(generationOf))) if (one) drawHead(one);
    soon.clear();
    tell();
  });
}

const hear = {
  queue: ({ jobs }) => { showQueue(jobs); if (!jobs.some((job) => job.state === "running")) plan(); },
  planned,
  progress: (job) => showJob(job),
  run: (run) => { if (!isShown(run)) return; const fresh = !runs.has(run.id); keepRun(run); showTree([run.id]); tell(); lookAgain(run.id); if (following.job && (fresh || run.status === "RUNNING")) { following.job = null; show(runs.get(run.id), null, { focus: false }); } },
  image: async ({ run, image }) => {
    const of = await runOf(run);
    if (!isShown(of)) return;
    const known = of.at.get(image.position)?.status === "MADE";
    if (!known && image.status === "MADE") of.made = Math.min(of.images_count, of.made + 1);
    refresh(keepImage(of, image));
    if (!generationOf(of)) showTree();
    redrawSoon(of);
  },
  ended: async ({ job, runs: found, outcome, verdicts, error, closed }) => {
    for (const one of verdicts ?? []) { verified(one.ref); notify(verdictOf(one), one.outcome === "different" || Boolean(one.problem)); }
    if (outcome === "failed" && error) notify(error.message, true);
    if (closed && ours.has(job)) notify("The server was replaced before it began with what you asked for: ask for it once more.", true);
    const last = following.job;
    if (!last || await last !== job || following.job !== last) return;
    following.job = null;
    const run = runs.get(found.at(-1)); // nothing was begun for what was asked for here
    if (outcome !== "done" || !run || !isShown(run)) return;
    notify(`All of it is there already: ${found.length === 1 ? "run" : "runs"} ${found.join(", ")}.`);
    show(run, null, { focus: false });
  },
  changed: ({ runs: ids }) => { // others are asked for when one comes to them
    const known = ids.filter((id) => !more || id > oldest || runs.has(id));
    return known.length > PAGE ? catchUp() : news(known);
  },
  rated: ({ run, position, ...judged }) => { const image = imageAt(`${run}/${position}`); if (image) { Object.assign(image, judged); refresh(image); } },
  mlflow: async () => { // its pages are served now, and runs lead to theirs
    sayState(await askState());
    for (const run of (await ask(page(MOST))).runs) if (runs.has(run.id)) redrawSoon(keepRun(run));
  },
  reset: () => catchUp(),
};

function verdictOf({ ref, outcome, differing_pixels: pixels, greatest_difference: greatest, changes, problem }) {
  if (problem || !outcome) return `${ref}: ${problem ?? "not compared"}`;
  const apart = outcome === "exact" ? "the same bytes" : `${pixels} pixels differ, by at most ${greatest} of 255`;
  return `${ref} is ${outcome}: ${apart}${changes?.length ? `; changed since: ${changes.join(", ")}` : ""}`;
}

// What is heard while the server goes away, it tells again.
async function hearing(kind, told) {
  try {
    await hear[kind](told);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status) notify(error.message, true);
  }
}

let lost = null;

function connected(there) {
  if (!there) { lost ??= notify("The server does not answer; it is tried again.", true, { stays: true }); return; }
  if (!lost) return;
  lost.remove();
  lost = null;
  plan();
  tryAgain();
  for (const img of document.querySelectorAll("#tree img")) if (img.complete && !img.naturalWidth) img.src = img.src;
}

// ---- what one does ----

// Go on from a picture: its words, seed and setting fill the box, at once from what is known, then as the server says.
async function use(image, { focus = true } = {}) {
  go(`/run/${image.ref}`);
  const { of, wording } = image, guess = {
    prompt: literal(wording.prompt), negatives: wording.negative ? [wording.negative] : [], seeds: String(image.seed),
    settings: {}, parent: { run: of.id, position: image.position }, experiment: of.experiment,
  };
  fillBox(guess, image);
  if (focus) focusPrompt();
  const typed = $("prompt").value;
  try {
    const { request: told } = await ask(`/api/runs/${of.id}/request?position=${image.position}`);
    if (request().parent?.run !== of.id || request().parent?.position !== image.position) return; // one went on meanwhile
    fillBox($("prompt").value === typed ? told : { ...told, prompt: $("prompt").value }, image);
    if (focus) focusPrompt();
  } catch (error) {
    notify(error.message, true);
  }
}

// Of a run that is shown with others of its sweep, the request is for all of them.
const requestOf = async (run, image = null) => (await ask(`/api/runs/${run.id}/${image ? `request?position=${image.position}` : run.sweep ? "whole" : "request"}`)).request;

// Same words, new seeds: as many as the run has, but at least four for one picture.
async function newSeeds(run, image = null) {
  await doing(async () => {
    const asked = await requestOf(run, image), count = image ? Math.max(4, Math.min(16, run.seeds.length)) : Math.min(64, run.seeds.length);
    await make({ ...asked, seeds: `random:${count}` });
  });
}

// More like it: the seed's own noise, mixed with a little of four others.
async function moreLike(image) {
  await doing(async () => {
    const asked = await requestOf(image.of, image), first = 1 + Math.floor(Math.random() * 9e4); // short enough to be read below a picture
    const seeds = [0, 1, 2, 3].map((at) => String(first + at));
    await make({ ...asked, settings: { ...asked.settings, variation_seed: seeds, variation_strength: ["0.2"] } });
  });
}

async function doing(act_) {
  try { await act_(); } catch (error) { notify(error.message, true); }
}

// ---- addresses ----

const rest = experiment === null ? "" : `?experiment=${encodeURIComponent(experiment)}`; // of every address here

function go(path) {
  if (location.pathname !== path) history.pushState({}, "", path + rest);
}

// Show what the address names: a run, or one of its pictures. Older runs are loaded until it is there.
async function showAddress() {
  const found = location.pathname.match(/^\/run\/(\d+)(?:\/(\d+))?$/);
  if (!found) return;
  const id = Number(found[1]), position = found[2] === undefined ? null : Number(found[2]);
  for (let was = null; !runs.has(id) && more && oldest > id && oldest !== was;) { was = oldest; await loadOlder(50); }
  const run = await runOf(id).catch((error) => { notify(error.message, true); return null; });
  if (!run) return;
  const uid = new URLSearchParams(location.search).get("uid"); // of a report: a number is another run's in another workspace
  if (uid && !run.uid.startsWith(uid)) return notify(`Run ${id} of this workspace is not the one that the report shows: that was made in another one.`, true);
  showTree();
  show(run, position);
  const image = position === null ? null : run.at.get(position), { parent } = request();
  if (!image) return;
  if (parent?.run === id && parent.position === position) setParent(parent, image); // what was typed since stays
  else use(image, { focus: false });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.jump");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(link.getAttribute("href"));
  showAddress();
});
addEventListener("popstate", showAddress);

// ---- keys ----

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); if (!event.repeat) submit(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if ($("vote").open ? voteKey(event) : $("viewer").open ? pictureKey(event) : cellKey(event) || pageKey(event)) event.preventDefault();
});

function pictureKey(event) {
  if (event.key === "Enter" && !event.target.matches("button, a, input")) { useShown(); return true; }
  if (viewing.image && !event.target.matches("input") && judgeKey(event.key, viewing.image)) return true;
  return viewerKey(event);
}

function judgeKey(key, image) {
  if (/^[1-5]$/.test(key)) rate(image, Number(key));
  else if (key.toLowerCase() === "f") favour(image);
  else if (key.toLowerCase() === "b") beforeAfter(image);
  else if (key.toLowerCase() === "y") verify(image);
  else if (key.toLowerCase() === "d" && image.full) el("a", { href: downloadOf(image), download: "" }).click();
  else if (key.toLowerCase() === "n") { $("viewer").close(); newSeeds(image.of, image); }
  else if (key.toLowerCase() === "m") { $("viewer").close(); moreLike(image); }
  else return false;
  return true;
}

function cellKey(event) {
  const cell = event.target.closest?.(".cell"), image = cell && imageAt(cell.dataset.ref);
  if (!image) return false;
  const key = event.key;
  if (/^Arrow/.test(key)) {
    const next = neighbour(cell, key);
    next?.firstChild.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  } else if (key === " ") look(image);
  else if (key.toLowerCase() === "c") mark(image);
  else return judgeKey(key, image);
  return true;
}

function pageKey(event) {
  const typed = event.target.matches("input, select, textarea");
  if (typed) {
    if (event.key === "Escape") { event.target.blur(); cellAt(currentRef())?.firstChild.focus(); }
    return false;
  }
  const key = event.key.toLowerCase(), image = currentRef() && imageAt(currentRef());
  const all = allGenerations(), one = generationAt(event.target) ?? (image && generationOf(image.of)) ?? null, at = all.indexOf(one);
  if (key === "?") $("keys").showModal();
  else if (key === "/") focusPrompt();
  else if (key === "v") openVote();
  else if (key === "p" && one?.runs[0].parent) { const { run, position } = image?.parent ?? one.runs[0].parent; go(`/run/${run}${(position ?? null) === null ? "" : `/${position}`}`); showAddress(); }
  else if (key === "z" && one) foldOne(one);
  else if ((key === "[" || key === "]") && all.length) { const next = all[Math.max(0, Math.min(all.length - 1, at + (key === "]" ? 1 : -1)))]; show(next.runs[0]); }
  else if (key === "n" && one) newSeeds(one.runs[0]);
  else if (/^arrow/.test(key) && event.target === document.body) { const cell = cellAt(currentRef()) ?? document.querySelector(".cell"); cell?.firstChild.focus(); return Boolean(cell); }
  else return false;
  return true;
}

// ---- to begin with ----

$("theme").addEventListener("click", setTheme);
$("help").addEventListener("click", () => $("keys").showModal());
closedByClick($("keys"));
$("compare").addEventListener("click", () => openCompare(...viewing.marked));
$("voting").addEventListener("click", openVote);
$("size").addEventListener("input", () => setSize(Number($("size").value)));
Object.assign(acts, { use, look });
Object.assign(handles, {
  seeds: newSeeds,
  shows: isShown,
  resume: (run) => doing(() => act(`/api/runs/${run.id}/resume`)),
});
placeLooking({ use, notify, seeds: newSeeds, more: moreLike });
placeQueue(notify);
placeImport(news);

try {
  const [state] = await Promise.all([askState(), loadOlder()]);
  $("size").value = cellSize();
  sayState(state);
  placeComposer(state, notify);
  if (experiment !== null && !$("experiment").value) $("experiment").value = experiment;
  showQueue(state.jobs);
  listen(hearing, connected);
  await showAddress();
  if (location.pathname === "/" && innerWidth >= 700) $("prompt").focus();
} catch (error) {
  notify(error.message, true, { stays: true });
}
