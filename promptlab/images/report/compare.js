// Two pictures in one place: flicker, slider, difference, side by side. Nothing reads a pixel, so a picture from another
// address can be compared too: the difference is the browser's own blending.

const MODES = [["flicker", "Flicker"], ["slider", "Slider"], ["difference", "Difference"], ["beside", "Side by side"]];
const ALSO = { steps: ["num_inference_steps"], guidance: ["guidance_scale"], size: ["width", "height"] }; // an axis's field → diffusers' names
const comparing = { mode: "flicker", second: false, timer: 0, at: 50, gain: 1 };

function mark(image) {
  const at = state.marked.indexOf(image);
  if (at >= 0) state.marked.splice(at, 1);
  else state.marked = [...state.marked, image].slice(-2);
  for (const cell of document.querySelectorAll(".cell")) cell.classList.toggle("marked", state.marked.includes(images[cell.dataset.image]));
  $("compare").disabled = state.marked.length < 2;
  $("compare").textContent = state.marked.length ? `Compare ${state.marked.length}/2` : "Compare";
  if (viewing.image) $("mark").setAttribute("aria-pressed", String(state.marked.includes(viewing.image)));
  if (at < 0 && state.marked.length === 2) openCompare(...state.marked);
  else say(at < 0 ? `${called(image)} is marked; mark another one with C.` : "No longer marked.");
}

function openCompare(a, b) {
  viewing.pair = [a, b];
  viewing.image = null;
  $("viewer").classList.add("comparing");
  $("modes").hidden = false;
  $("modes").replaceChildren(...MODES.map(([mode, name], at) =>
    el("button", { "data-mode": mode, title: `${name} (${at + 1})`, onclick: () => setMode(mode) }, name)));
  const both = a.nowhere || b.nowhere ? "A and B" : `A and B at ${seedOf(a)}`;
  $("viewer-title").textContent = a.seed === b.seed || both === "A and B" ? both : `A at ${seedOf(a)}, B at ${seedOf(b)}: different noise`;
  const pair = el("div", { class: "pair" });
  const missing = [a, b].some((image) => standing(image));
  if (missing) $("stage").replaceChildren(el("p", { class: "nothing" }, `A: ${standing(a) || "made"}; B: ${standing(b) || "made"}`));
  else {
    const shown = [["a", a], ["b", b]].map(([which, image]) =>
      [el("img", { class: which, alt: `${which.toUpperCase()}: ${called(image)}`, draggable: "false" }), image, which]);
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
  if (mode === "flicker" && !matchMedia("(prefers-reduced-motion: reduce)").matches) comparing.timer = setInterval(turnOver, 700);
  if (sized) sizeStage();
}

function turnOver() {
  comparing.second = !comparing.second;
  $("stage").querySelector(".pair")?.classList.toggle("second", comparing.second);
}

function stopFlicker() {
  clearInterval(comparing.timer);
  comparing.timer = 0;
}

// What tells the two apart, and a choice of any other two.
function differences(a, b) {
  const chosen = axes.map((axis, at) => el("tr", { class: a.at[at] === b.at[at] ? "" : "differs" },
    el("th", { scope: "row" }, axis.name), ...[0, 1].map((which) => el("td", {}, choice([a, b], which, at)))));
  const heads = ["", "A", "B"].map((name) => el("th", { scope: "col" }, name));
  const table = el("table", { class: "two" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...chosen, ...rowsOf(a, b)));
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

// Another value on one axis for one of the two.
function choice(pair, which, at) {
  const name = `${which ? "B" : "A"}: ${axes[at].name}`;
  const options = axes[at].values.map((value, place) =>
    el("option", { value: String(place), selected: place === pair[which].at[at] }, value || "(empty)"));
  const select = el("select", { "aria-label": name, onchange: () => {
    const places = pair[which].at.with(at, Number(select.value));
    openCompare(...pair.with(which, byPlace.get(places.join()) ?? { at: places, nowhere: true }));
    focusIn($("facts"), `[aria-label="${CSS.escape(name)}"]`);
  } }, ...options);
  return select;
}

function rowsOf(a, b) {
  if (a.nowhere || b.nowhere) return [];
  const onAxis = (name) => axes.some((axis) => axis.fields?.some((field) => field === name || ALSO[field]?.includes(name)));
  const settings = new Map(a.of.setting.map(([name, value]) => [name, [value, ""]]));
  for (const [name, value] of b.of.setting) settings.set(name, [settings.get(name)?.[0] ?? "", value]);
  const taken = [a, b].map((image) => pace(image) === null ? "" : seconds(pace(image)));
  const rows = [["picture", a.ref, b.ref]];
  if (!axes.some((axis) => axis.kind === "seed")) rows.push(["seed", a.seed, b.seed]);
  if (taken.some(Boolean)) rows.push(["seconds", ...taken]);
  for (const [name, [one, other]] of settings) if (one !== other && !onAxis(name)) rows.push([name, one, other]);
  return rows.map(([name, one, other]) => el("tr", { class: one === other ? "" : "differs" },
    el("th", { scope: "row" }, name), el("td", {}, String(one)), el("td", {}, String(other))));
}

// Both at the next seed; where there is none, along the first axis on which they agree.
function stepBoth(by) {
  const [a, b] = viewing.pair;
  const shared = axes.flatMap((_, at) => a.at[at] === b.at[at] ? [at] : []);
  const at = shared.find((one) => axes[one].kind === "seed") ?? shared[0];
  if (at === undefined) return;
  const count = axes[at].values.length;
  for (let moved = 1; moved < count; moved++) {
    const place = (a.at[at] + by * moved + count * moved) % count;
    const pair = [a, b].map((image) => byPlace.get(image.at.with(at, place).join()));
    if (pair.every((image) => image?.whole)) return openCompare(...pair);
  }
}

function compareKey(event) {
  const mode = MODES[Number(event.key) - 1];
  if (mode) setMode(mode[0]);
  else if (event.target.type === "range") return false;
  else if (event.key === " " && comparing.mode === "flicker" && event.target.tagName !== "BUTTON") { stopFlicker(); turnOver(); }
  else if (event.key === "ArrowRight" || event.key === "ArrowLeft") stepBoth(event.key === "ArrowRight" ? 1 : -1);
  else return false;
  return true;
}
