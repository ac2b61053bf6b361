// The setting: a field for each thing that can be set, with this model's choices and defaults. Several values are a sweep.

import { $, el } from "./viewer/elements.js";

const FIRST = ["steps", "guidance", "scheduler", "size", "model", "dtype"];
const COMMAS = new Set(["whole", "number", "natural", "seed", "size", "dtype", "batch"]); // kinds whose values hold no comma
const GROUPS = { pipeline: "Model", call: "Picture", run: "Run", machine: "Machine" };

const fields = new Map(); // name → { row, read, write, hint }
const beyond = new Map(); // what was set that has no field here: kept, and sent back
const NO_DEFAULT = new Set(["model", "revision", "variant", "config", "device", "generator_device"]); // as promptlab.expand.values has it
let filled = new Set(); // names of fields that were filled: one that is emptied means the default, and not what a parent has

let changed = () => {};

// Build the fields once the server has said what there is.
export function placeSettings(rows, tell) {
  changed = tell;
  fields.clear();
  const first = FIRST.map((name) => rows.find((row) => row.name === name)).filter(Boolean);
  const rest = Object.entries(GROUPS).map(([group, title]) => {
    const some = rows.filter((row) => row.group === group && !FIRST.includes(row.name));
    return some.length ? el("fieldset", {}, el("legend", {}, title), ...some.map(fieldOf)) : null;
  });
  $("settings").replaceChildren(
    el("div", { class: "fields" }, ...first.map(fieldOf)),
    el("details", { class: "rest" }, el("summary", {}, "All settings"), ...rest.filter(Boolean)));
}

function fieldOf(row) {
  const made = row.kind === "switch" ? switchField(row) : row.choices?.length || row.kind === "scheduler" ? choiceField(row) : textField(row);
  fields.set(row.name, { row, ...made });
  return made.node;
}

const idOf = (row) => `setting-${row.name}`;

function textField(row) {
  const input = el("input", { id: idOf(row), type: "text", spellcheck: "false", title: row.help, "data-setting": row.name, oninput: () => changed() });
  const placeholder = (text) => { input.placeholder = text || (row.example ? `e.g. ${row.example}` : ""); };
  placeholder();
  const split = (text) => COMMAS.has(row.kind) ? text.split(",") : [text];
  return {
    node: el("label", { class: "field" }, el("span", {}, title(row)), input),
    read: () => split(input.value).map((one) => one.trim()).filter(Boolean),
    write: (texts) => { input.value = texts.join(", "); },
    hint: placeholder,
  };
}

function switchField(row) {
  const select = el("select", { id: idOf(row), title: row.help, "data-setting": row.name, onchange: () => changed() },
    ...[["", "as it is"], ["true", "on"], ["false", "off"], ["true,false", "both"]].map(([value, name]) => el("option", { value }, name)));
  return {
    node: el("label", { class: "field" }, el("span", {}, title(row)), select),
    read: () => select.value ? select.value.split(",") : [],
    write: (texts) => { select.value = texts.join(","); },
    hint: (text) => { select.options[0].textContent = text ? `as it is: ${text}` : "as it is"; },
  };
}

// One or several of a list, and whatever else is typed.
function choiceField(row) {
  let hint = "";
  const summary = el("summary", { "data-setting": row.name, title: row.help });
  const other = el("input", { type: "text", id: idOf(row), spellcheck: "false", "aria-label": `${title(row)}: another one`, placeholder: "another one", oninput: () => told() });
  const boxes = el("div", { class: "boxes" }), list = el("div", { class: "box" }, other, boxes);
  const chosen = () => [...boxes.querySelectorAll("input:checked")].map((box) => box.value);
  const read = () => [...chosen(), ...(other.value.trim() ? [other.value.trim()] : [])];
  const say = () => { summary.textContent = read().join(", ") || (hint ? `${hint}` : "the model's own"); summary.classList.toggle("set", read().length > 0); };
  const told = () => { say(); changed(); };
  const write = (texts) => {
    const some = [...boxes.querySelectorAll("input")];
    for (const box of some) box.checked = texts.includes(box.value);
    other.value = texts.filter((text) => !some.some((box) => box.value === text)).join(", ");
    say();
  };
  const offer = (choices) => { // what was chosen stays, also where it is not offered any more
    const kept = read();
    boxes.replaceChildren(...choices.map((choice) => {
      const { name, title: why = "", own = false } = typeof choice === "string" ? { name: choice } : choice;
      const box = el("input", { type: "checkbox", value: name, onchange: told });
      return el("label", { title: why }, box, name, own ? el("small", {}, "its own") : null);
    }));
    write(kept);
  };
  offer(row.choices ?? []);
  const details = el("details", { class: "values" }, summary, list);
  return {
    node: el("div", { class: "field", role: "group", "aria-label": title(row) }, el("span", {}, title(row)), details),
    read, write, offer,
    hint: (text) => { hint = text ?? ""; say(); },
  };
}

const title = (row) => row.name.replaceAll("_", " ");

// The model has said what it can do and what it does by itself.
export function offerModel({ schedulers, defaults }) {
  if (schedulers) fields.get("scheduler")?.offer?.(schedulers);
  if (defaults) for (const [name, field] of fields) field.hint(defaults[name]);
}

export function readSettings() {
  const found = Object.fromEntries(beyond);
  for (const [name, field] of fields) {
    const texts = field.read();
    if (texts.length) found[name] = texts;
    else if (filled.has(name)) found[name] = ["default"];
  }
  return found;
}

// Fill the fields; `inherits` says that a run of a request without one of these has it nevertheless, from its parent.
export function writeSettings(settings = {}, inherits = false) {
  beyond.clear();
  for (const [name, field] of fields) field.write(settings[name] ?? []);
  filled = new Set([...fields].filter(([name, { row }]) => inherits && settings[name]?.length && row.kind !== "switch" && !NO_DEFAULT.has(name)).map(([name]) => name));
  for (const [name, texts] of Object.entries(settings)) if (!fields.has(name)) beyond.set(name, texts);
  saySetting();
}

// What is set, in a line, so that it can stay folded away.
export function saySetting() {
  $("setting-said").textContent = Object.entries(readSettings()).map(([name, texts]) => `${name.replaceAll("_", " ")} ${texts.join(", ")}`).join(" · ") || "the model's own";
}

// Show the field that a refusal names.
export function fieldNamed(name) {
  const node = $("settings").querySelector(`[data-setting="${CSS.escape(name)}"]`);
  if (node) for (let above = node.closest("details"); above; above = above.parentElement.closest("details")) if (!above.classList.contains("values")) above.open = true;
  return node;
}

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("#settings .values[open]")) if (!open.contains(event.target)) open.open = false;
});
