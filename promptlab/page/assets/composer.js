// The box: words, seeds, setting; what they come to, told while one types; and the act that makes the pictures.

import { $, copied, css, el, seconds } from "./viewer/elements.js";
import { diffNodes } from "./viewer/words.js";
import { placeAlternatives } from "./alternatives.js";
import { act, ask } from "./server.js";
import { fieldNamed, offerModel, placeSettings, readSettings, saySetting, writeSettings } from "./settings_form.js";

// The job that was asked for here last, as a promise of its number, until what it makes is shown.
export const following = { job: null };
export const ours = new Set(); // the jobs that were asked for here

const parts = { parent: null, thumb: null, negative: null, negatives: [] };
let notify = () => {}, draft = "", planning = null, waiting = 0;
let unsettled = false; // whether the engine has not said yet what it knows of what is shown
let offered = null; // the model whose schedulers are offered

export function placeComposer(state, tell) {
  notify = tell;
  placeSettings(state.settings, changed);
  offerModel(state.model);
  draft = `promptlab-draft ${state.workspace}`; // a port may be another workspace's tomorrow
  placeAlternatives(changed);
  $("experiments").replaceChildren(...state.experiments.map((value) => el("option", { value })));
  for (const id of ["prompt", "negative", "seeds", "experiment"]) $(id).addEventListener("input", changed);
  $("compose").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); if (!event.repeat) submit(); }
  });
  $("from-none").addEventListener("click", () => { setParent(null); changed(); $("prompt").focus(); });
  $("draw").addEventListener("click", () => { drawSeeds(); $("prompt").focus(); });
  $("copy-line").addEventListener("click", copyLine);
  $("again").addEventListener("change", changed);
  recall();
  changed();
}

// The request that the box stands for, in the command line's own texts.
export function request() {
  return {
    prompt: $("prompt").value,
    negatives: negatives(),
    seeds: $("seeds").value,
    settings: readSettings(),
    parent: parts.parent,
    experiment: $("experiment").value.trim() || null,
    again: $("again").checked,
  };
}

// One a line; those that the box was filled with stay as they are, also where one of them has several lines.
function negatives() {
  const text = $("negative").value;
  return text === parts.negative ? parts.negatives : text.split("\n").map((line) => line.trim()).filter(Boolean);
}

// Fill the box with a request; `image` is the picture that it goes on from.
export function fillBox(asked, image = null) {
  $("prompt").value = asked.prompt;
  $("negative").value = asked.negatives.join("\n");
  Object.assign(parts, { negative: $("negative").value, negatives: asked.negatives });
  $("seeds").value = asked.seeds;
  $("experiment").value = asked.experiment ?? "";
  $("again").checked = Boolean(asked.again);
  writeSettings(asked.settings, Boolean(asked.parent));
  setParent(asked.parent, image);
  changed();
}

// To the prompt, its end; where one is there already, one stays where one is.
export function focusPrompt() {
  const box = $("prompt");
  if (document.activeElement === box) return;
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
}

// Words that mean only themselves, though the box reads templates.
export const literal = (text) => /[{}]|__/.test(text) ? text.replace(/[\\{}|$_]/g, "\\$&") : text;

export function setParent(parent, image = null) {
  parts.parent = parent;
  parts.thumb = parent ? image?.thumb ?? null : null;
  $("from").hidden = !parent;
  if (!parent) return;
  const ref = parent.position === null || parent.position === undefined ? `run ${parent.run}` : `${parent.run}/${parent.position}`;
  $("from-said").replaceChildren("from ", el("a", { href: `/run/${ref.replace("run ", "")}`, class: "jump" }, ref), image ? ` · seed ${image.seed}` : "");
  $("from-picture").hidden = !parts.thumb;
  if (parts.thumb) $("from-picture").src = parts.thumb;
}

function drawSeeds() {
  $("seeds").value = `random:${Math.max(1, Math.min(64, parts.seeds ?? 4))}`;
  changed();
}

function changed() {
  grow($("prompt"));
  grow($("negative"));
  saySetting();
  remember();
  clearTimeout(waiting);
  waiting = setTimeout(plan, 140);
}

// As high as its words are.
function grow(box) {
  css(box, "height", "auto");
  css(box, "height", `${Math.min(box.scrollHeight + 2, 320)}px`);
}

// Ask what the box comes to. An older question that has not been answered is given up.
export async function plan() {
  planning?.abort();
  if (!$("prompt").value.trim()) return showPlan(null);
  const mine = planning = new AbortController();
  try {
    showPlan(await act("/api/plan", request(), { signal: mine.signal }));
  } catch (error) {
    if (error.name !== "AbortError") showPlan({ error: { message: error.message, field: null } });
  }
}

function showPlan(told) {
  const wrong = told?.error ?? null;
  unsettled = Boolean(told) && !wrong && !told.settled;
  $("wrong").hidden = !wrong;
  $("wrong").textContent = wrong?.message ?? "";
  for (const id of ["prompt", "negative", "seeds", "experiment"]) $(id).removeAttribute("aria-invalid");
  for (const node of $("settings").querySelectorAll("[aria-invalid]")) node.removeAttribute("aria-invalid");
  if (wrong?.field) fieldOf(wrong.field)?.setAttribute("aria-invalid", "true");
  $("make").disabled = !told || Boolean(wrong);
  $("line").value = $("line").title = told?.command ?? "";
  $("copy-line").disabled = !told?.command;
  if (!told || wrong) {
    $("make").textContent = "Make";
    $("planned").textContent = told ? "" : "Words make pictures: a {young|old} chief makes two.";
    $("cut").hidden = $("wordings").hidden = $("again-line").hidden = true;
    return;
  }
  if (told.defaults) { offerModel({ defaults: told.defaults }); offerFor(told.defaults.model); }
  parts.seeds = told.seeds_count;
  const fresh = told.images - (told.known ?? 0);
  $("make").textContent = told.images === 1 ? "Make 1 picture" : `Make ${told.images.toLocaleString("en")} pictures`;
  const runs = told.runs > 1 ? `${told.runs} settings × ` : "";
  const count = `${runs}${told.variants_count} ${told.variants_count === 1 ? "wording" : "wordings"} × ${told.seeds_count} ${told.seeds_count === 1 ? "seed" : "seeds"}`;
  const there = told.known ? (fresh ? `${told.known} there already` : "all there already") : null;
  const time = told.seconds !== null && fresh ? `${told.guess ? "perhaps" : "about"} ${told.seconds < 1 ? seconds(told.seconds) : `${Math.round(told.seconds).toLocaleString("en")} s`}` : null;
  $("planned").textContent = [count, there, time].filter(Boolean).join(" · ");
  $("again-line").hidden = !told.known && !$("again").checked;
  showWordings(told);
  if (unsettled) { clearTimeout(waiting); waiting = setTimeout(plan, 2000); }
}

function showWordings({ variants, variants_count: count }) {
  const cut = variants.filter((variant) => variant.cut?.length);
  $("cut").hidden = !cut.length;
  $("cut").textContent = cut.length ? `The model does not read: ${cut[0].cut.join(" ")}${cut.length > 1 ? ` (and of ${cut.length - 1} more)` : ""}` : "";
  $("wordings").hidden = count < 2;
  if (count < 2) return;
  $("wordings").firstElementChild.textContent = `${count.toLocaleString("en")} wordings`;
  const lines = variants.map((variant, at) => el("li", {}, ...(at ? diffNodes(variants[0].prompt, variant.prompt) : [variant.prompt])));
  if (count > variants.length) lines.push(el("li", { class: "quiet" }, `and ${(count - variants.length).toLocaleString("en")} more`));
  $("wordings").lastElementChild.replaceChildren(...lines);
}

const fieldOf = (name) => ({ prompt: $("prompt"), negatives: $("negative"), seeds: $("seeds"), experiment: $("experiment") })[name] ?? fieldNamed(name);

export async function submit() {
  await make(request());
  if (!$("again").checked) return;
  $("again").checked = false; // it was for this once
  changed();
}

// Have a request carried out; every run is an ordinary run.
export async function make(asked) {
  if (!asked.prompt.trim()) { $("prompt").focus(); return; }
  const told = act("/api/jobs", asked);
  following.job = told.then(({ job }) => { ours.add(job); return job; }, () => null);
  try {
    await told;
  } catch (error) {
    following.job = null;
    showPlan({ error, command: $("line").value });
    notify(error.message, true);
    if (error.field) fieldOf(error.field)?.focus();
  }
}

// The engine has answered a question of some page.
export function planned() {
  if (unsettled) plan();
}

// Offer the schedulers that fit a model; which do, is known once the engine was imported.
async function offerFor(model) {
  if (!model || model === offered) return;
  offered = model;
  const told = await ask(`/api/model?name=${encodeURIComponent(model)}`).catch(() => null);
  if (offered !== model) return;
  if (told) offerModel(told);
  if (!told?.settled) offered = null;
}

async function copyLine() {
  $("line").focus();
  $("line").select();
  notify(await copied($("line").value) ? "Copied." : "Selected: press Ctrl+C to copy.");
}

// What was typed outlives a reload.
function remember() {
  try { sessionStorage.setItem(draft, JSON.stringify(request())); } catch { /* no room: then it does not */ }
}

function recall() {
  try {
    const typed = JSON.parse(sessionStorage.getItem(draft));
    if (typed?.prompt) fillBox(typed);
  } catch { /* of another version */ }
}
