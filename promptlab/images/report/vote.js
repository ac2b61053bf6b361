// Votes: two pictures of one seed, and which is better. A file can keep nothing, and may not even remember inside MLflow's
// frame, so the answers come out as one line to copy: promptlab compare RUN --votes "…" keeps them.

const ballot = { answers: new Map(), skipped: new Set(), order: [], pair: null, said: "" };
const seedAxis = axes.findIndex((axis) => axis.kind === "seed");
for (const image of images) image.contender = image.at.filter((_, at) => at !== seedAxis).join();
const AT_ONCE = 40; // of a seed's pictures, those that are looked at for the next pair: a thousand make half a million pairs
const pairKey = (a, b) => a.place < b.place ? `${a.place},${b.place}` : `${b.place},${a.place}`;

// Zip's sum of a text: a line that lost its end, or belongs to other runs, is known by it.
function sumOf(text) {
  let sum = -1;
  for (const byte of new TextEncoder().encode(text)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ((sum ^ -1) >>> 0).toString(16).padStart(8, "0");
}

// What can be compared, among what the filters let through: by seed, one picture of each contender; the same pixels once.
function fields() {
  const bySeed = new Map();
  for (const image of through()) {
    if (!image.whole) continue;
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

// The line to type. Pictures of a run's own report go by their positions alone.
function voteLine() {
  const called = (image) => data.kind === "run" ? `${image.position}` : image.ref;
  const all = [...ballot.answers.values()];
  const votes = all.map(({ winner, loser, tie }) => `${called(winner)}${tie ? "=" : ">"}${called(loser)}`).join(" ");
  const concerned = [...new Map(all.flatMap(({ winner, loser }) => [winner, loser]).map((image) => [image.of.id, image.of.uid]))];
  const uids = concerned.sort(([a], [b]) => a - b).map(([, uid]) => uid).join();
  return `promptlab compare ${data.kind === "run" ? "" : "sweep:"}${data.id} --votes "${votes} #${sumOf(`${uids} ${votes}`)}"`;
}

function openVote() {
  if (!$("vote").open) $("vote").showModal();
  $("vote-pair").focus();
  ballot.skipped.clear();
  ask();
}

function ask() {
  const asked = fields(), answered = ballot.answers.size;
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
  }) : [el("p", { class: "nothing" }, total ? "Copy the line below, or go back with Undo." : "Pairs are pictures of one seed with other words or settings; a filter may have left out the others.")];
  $("vote-pair").replaceChildren(...shown);
  for (const id of ["vote-a", "vote-b", "vote-tie", "vote-skip"]) $(id).disabled = !a;
  $("vote-undo").disabled = !ballot.order.length;
  $("vote-said").textContent = ballot.said || (answered ? "These answers are in this page only. Type this line where the workspace is:" : "Your answers come out as a line to type; nothing is kept by this page.");
  $("vote-line").value = answered ? voteLine() : "";
  $("vote-copy").disabled = $("vote-line").disabled = !answered;
  ballot.said = "";
}

function answer(which) {
  if (!ballot.pair) return;
  const [a, b] = ballot.pair, key = pairKey(a, b);
  if (which === "skip") ballot.skipped.add(key);
  else ballot.answers.set(key, { winner: which === "B" ? b : a, loser: which === "B" ? a : b, tie: which === "=" });
  ballot.order.push(key);
  ask();
}

function undoAnswer() {
  const key = ballot.order.pop();
  if (key === undefined) return;
  ballot.answers.delete(key);
  ballot.skipped.delete(key);
  ask();
}

async function copyVotes() {
  const line = $("vote-line");
  line.focus();
  line.select();
  ballot.said = await copied(line.value) ? "Copied." : "Selected: press Ctrl+C to copy.";
  $("vote-said").textContent = ballot.said;
  ballot.said = "";
}

function voteKey(event) {
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
