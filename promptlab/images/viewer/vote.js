// Votes: two pictures of one seed, and which is better.

import { $, copied, css, el } from "./elements.js";
import { fill } from "./stage.js";

// What the page asks to be compared and does with the answers; filled in once. Pictures have a `contender` and a `ref`.
export const booth = {
  fields: () => [], // lists of pictures that can be compared, one list for each seed
  answered: () => {}, // told of each answer: winner, loser, whether they are as good
  line: null, // the line to type that keeps the answers, where the page itself cannot
  keeping: "", // what becomes of answers, said before the first one
  kept: "", // and afterwards
  ended: "", // said when no pair is left
  forgot: () => {}, // told of each answer that is taken back
};

export const ballot = { answers: new Map(), skipped: new Set(), order: [], pair: null, said: "" };
const AT_ONCE = 40; // of a seed's pictures, those that are looked at for the next pair: a thousand make half a million pairs
const pairKey = (a, b) => [a.ref, b.ref].sort().join();

// Zip's sum of a text: a line that lost its end, or belongs to other runs, is known by it.
export function sumOf(text) {
  let sum = -1;
  for (const byte of new TextEncoder().encode(text)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ((sum ^ -1) >>> 0).toString(16).padStart(8, "0");
}

// Those of `some` that can be compared: by seed, one picture of each contender; the same pixels once.
export function fieldsOf(some) {
  const bySeed = new Map();
  for (const image of some) {
    const field = bySeed.get(image.seed) ?? { of: new Map(), pixels: new Set() };
    bySeed.set(image.seed, field);
    if (field.of.has(image.contender) || field.pixels.has(image.pixels)) continue;
    field.of.set(image.contender, image);
    if (image.pixels) field.pixels.add(image.pixels);
  }
  return [...bySeed.values()].map((field) => [...field.of.values()]).filter((some) => some.length > 1);
}

// Of contenders that met least often, those whose luck so far is most alike. Which of the two stands first is as good as
// drawn by lot, so that a liking for one side favours nobody.
function nextPair(asked) {
  const met = new Map(), luck = new Map(), seen = new Map();
  const count = (map, key, by) => map.set(key, (map.get(key) ?? 0) + by);
  const meeting = (a, b) => [a.contender, b.contender].sort().join("|");
  for (const { winner, loser, tie } of ballot.answers.values()) {
    count(met, meeting(winner, loser), 1);
    for (const [image, by] of [[winner, 1], [loser, -1]]) { count(luck, image.contender, tie ? 0 : by); count(seen, image.contender, 1); }
  }
  const of = (map, image) => map.get(image.contender) ?? 0;
  let best = null, least = [Infinity, Infinity];
  for (const field of asked) {
    const some = field.length > AT_ONCE ? [...field].sort((a, b) => of(seen, a) - of(seen, b)).slice(0, AT_ONCE) : field;
    for (const [place, b] of some.entries()) for (const a of some.slice(0, place)) {
      if (ballot.answers.has(pairKey(a, b)) || ballot.skipped.has(pairKey(a, b))) continue;
      const weight = [met.get(meeting(a, b)) ?? 0, Math.abs(of(luck, a) - of(luck, b))];
      if (weight[0] < least[0] || (weight[0] === least[0] && weight[1] < least[1])) { best = [a, b]; least = weight; }
    }
  }
  return best && parseInt(sumOf(`${best[0].ref} ${best[1].ref}`).at(-1), 16) % 2 ? best.toReversed() : best;
}

// Put the window of votes into the page.
export function placeVote() {
  const button = (id, name, title, onclick, minor = null) => el("button", { id, title, class: minor, onclick }, name);
  const line = el("input", { id: "vote-line", class: "command", "aria-label": "Command that keeps the votes", readonly: "", spellcheck: "false" });
  const close = { id: "vote-close", class: "icon", "aria-label": "Close", onclick: () => $("vote").close() };
  document.body.append(el("dialog", { id: "vote", "aria-labelledby": "vote-title" },
    el("div", { class: "head" },
      el("strong", { id: "vote-title", role: "status" }), el("span", { id: "vote-count", class: "quiet" }),
      el("span", { class: "gap" }), el("button", close, "×")),
    el("div", { id: "vote-pair", tabindex: "-1" }),
    el("div", { class: "answers", role: "group", "aria-label": "Answer" },
      button("vote-a", "A", "A, or ←", () => answer("A")), button("vote-tie", "Neither", "=, or N", () => answer("=")),
      button("vote-b", "B", "B, or →", () => answer("B")), button("vote-skip", "Skip", "S", () => answer("skip"), "minor"),
      button("vote-undo", "Undo", "Backspace, or U", undoAnswer, "minor")),
    el("div", { class: "outcome" },
      el("p", { id: "vote-said", role: "status" }),
      el("div", { class: "copying", hidden: !booth.line }, line, button("vote-copy", "Copy", "C", copyVotes)))));
  $("vote").addEventListener("click", (event) => { if (event.target === $("vote")) $("vote").close(); });
}

export function openVote() {
  if (!$("vote").open) $("vote").showModal();
  $("vote-pair").focus();
  ballot.skipped.clear();
  ask();
}

function ask() {
  const asked = booth.fields(), answered = ballot.answers.size;
  const total = asked.reduce((sum, some) => sum + some.length * (some.length - 1) / 2, 0);
  ballot.pair = nextPair(asked);
  const [a, b] = ballot.pair ?? [];
  $("vote-title").textContent = a ? `Which is better, at seed ${a.seed}?` : total ? "No other pair is left." : "There is nothing to compare here.";
  $("vote-count").textContent = `${answered} of ${total.toLocaleString("en")} pairs`;
  const shown = a ? [["A", a], ["B", b]].map(([letter, image]) => {
    const img = el("img", { alt: letter, draggable: "false", decoding: "async" });
    fill(img, image);
    const choice = el("button", { class: "choice", "aria-label": `${letter} is better`, onclick: () => answer(letter) }, img, el("span", { class: "letter" }, letter));
    return css(choice, "ratio", `${image.width ?? 1} / ${image.height ?? 1}`);
  }) : [el("p", { class: "nothing" }, total ? booth.ended : "Pairs are pictures of one seed with other words or settings; a filter may have left out the others.")];
  $("vote-pair").replaceChildren(...shown);
  for (const id of ["vote-a", "vote-b", "vote-tie", "vote-skip"]) $(id).disabled = !a;
  $("vote-undo").disabled = !ballot.order.length;
  $("vote-said").textContent = ballot.said || (answered ? booth.kept : booth.keeping);
  $("vote-line").value = answered && booth.line ? booth.line([...ballot.answers.values()]) : "";
  $("vote-copy").disabled = $("vote-line").disabled = !answered;
  ballot.said = "";
}

function answer(which) {
  if (!ballot.pair) return;
  const [a, b] = ballot.pair, key = pairKey(a, b);
  if (which === "skip") ballot.skipped.add(key);
  else {
    const given = { winner: which === "B" ? b : a, loser: which === "B" ? a : b, tie: which === "=" };
    ballot.answers.set(key, given);
    booth.answered(given);
  }
  ballot.order.push(key);
  ask();
}

function undoAnswer() {
  const key = ballot.order.pop();
  if (key === undefined) return;
  const given = ballot.answers.get(key);
  ballot.answers.delete(key);
  if (given) booth.forgot(given);
  ballot.skipped.delete(key);
  ask();
}

async function copyVotes() {
  const line = $("vote-line");
  if (!booth.line) return;
  line.focus();
  line.select();
  ballot.said = await copied(line.value) ? "Copied." : "Selected: press Ctrl+C to copy.";
  $("vote-said").textContent = ballot.said;
  ballot.said = "";
}

export function voteKey(event) {
  const key = event.key.toLowerCase();
  if (event.target === $("vote-line") && key !== "escape") return false;
  if (key === "a" || key === "arrowleft") answer("A");
  else if (key === "b" || key === "arrowright") answer("B");
  else if (key === "=" || key === "n") answer("=");
  else if (key === "s") answer("skip");
  else if (key === "backspace" || key === "u") undoAnswer();
  else if (key === "c") copyVotes();
  else return false;
  return true;
}
