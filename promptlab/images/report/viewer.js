// One picture, large, with everything recorded about it; its frame is the comparison's too.

const viewing = { image: null, pair: null, zoom: 0, from: {}, back: null };
const STEPS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8];

function openViewer(image) {
  if (!image) return;
  viewing.image = image;
  viewing.pair = null;
  stopFlicker();
  $("modes").hidden = true;
  $("viewer").classList.remove("comparing");
  $("viewer-title").textContent = called(image);
  const img = el("img", { class: "a", alt: called(image), draggable: "false" });
  const missing = standing(image);
  $("stage").replaceChildren(missing ? el("p", { class: "nothing" }, missing) : css(el("div", { class: "pair" }, img), "gain", 1));
  $("facts").replaceChildren(...factsOf(image));
  viewing.from = {};
  if (!missing) fill(img, image, (from) => fromWhere("a", from));
  shownAs();
}

function shownAs() {
  viewing.back = [...focus]; // closing focuses the cell it was opened from; one may have gone on from there
  for (const name of ["mark", "before", "after"]) $(name).hidden = Boolean(viewing.pair);
  if (viewing.image) $("mark").setAttribute("aria-pressed", String(state.marked.includes(viewing.image)));
  if (!$("viewer").open) { $("viewer").showModal(); $("stage").focus(); }
  $("facts").scrollTop = 0;
  sizeStage();
}

// A thumbnail in place of an original is said, never passed off as the picture.
function fromWhere(which, from) {
  viewing.from[which] = from;
  $("stage").querySelector("p.from")?.remove();
  for (const one of ["a", "b"]) $("stage").querySelector(`img.${one}`)?.classList.toggle("enlarged", viewing.from[one] === "thumbnail");
  const poor = Object.entries(viewing.from).filter(([, from]) => from === "thumbnail").map(([one]) => one.toUpperCase());
  const whose = viewing.pair ? `${poor.join(" and ")}: ` : "";
  if (poor.length) $("stage").append(el("p", { class: "from" }, `${whose}small picture, enlarged; the original could not be loaded from here`));
}

function sizeStage() {
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
  pair.classList.toggle("sharp", scale >= 2);
  $("zoom-fit").textContent = viewing.zoom ? `${Math.round(scale * 100)} %` : "fit";
  $("zoom-fit").setAttribute("aria-label", viewing.zoom ? "Fit" : `Fitted, ${Math.round(scale * 100)} %`);
}

function zoom(direction) {
  const now = viewing.scale ?? 1;
  if (direction === 0) viewing.zoom = 0;
  else viewing.zoom = direction > 0 ? STEPS.find((step) => step > now * 1.01) ?? 8 : STEPS.findLast((step) => step < now * 0.99) ?? 0.25;
  sizeStage();
}

function factsOf(image) {
  const { of, wording } = image, parts = [];
  parts.push(commandOf(image));
  parts.push(titled("Prompt", el("p", { class: "words" }, wording.prompt || "(empty)")));
  if (wording.before) parts.push(titled("Words that changed", el("p", { class: "words" }, ...diffNodes(wording.before, wording.prompt))));
  if (wording.negative) parts.push(titled("Negative prompt", el("p", { class: "words" }, wording.negative)));
  const environment = image.environment ? { hash: image.environment } : { ...data.environments[of.environment], hash: of.environment_hash };
  const address = mlflowPage(image), [original] = originals(image);
  parts.push(listed("Picture", [
    ["picture", image.ref], ["seed", image.seed], ["standing", standing(image) || "made"],
    ["flag", image.flag], ["seconds", image.seconds === undefined ? null : seconds(image.seconds)], ["size", image.width && `${image.width} × ${image.height}`],
    ["decoded again in", image.decoded_in], ["made in batches of", image.batch_size],
    ["label", wording.label], ["template", wording.template], ["replaced", wording.replacement],
    ["varied from", image.parent], ["linked from", image.linked],
    ["batch, slot", image.batch === undefined ? null : `${image.batch}, ${image.slot}`],
    ["peak memory", image.memory ? `${(image.memory / 2 ** 20).toFixed(0)} MiB` : null],
    ["made at", when(image.made)], ["verified", image.verified], ["pixels sha256", image.pixels], ["recipe key", image.recipe],
    ["file", original ? fileLink(image, original) : image.file],
    ["MLflow", address && runLink(image, framed ? "copy its page's address" : "its page")],
  ]));
  parts.push(listed("Setting", of.setting.concat([["model identity", of.model_identity], ["vae identity", of.vae_identity]])));
  if (of.values) parts.push(listed(`Sweep ${of.sweep}`, of.values));
  parts.push(listed("Run", [
    ["run", of.id], ["name", of.name], ["experiment", of.experiment], ["note", of.note ?? data.note], ["status", of.status], ["error", of.error],
    ["began", when(of.created)], ["ended", when(of.ended)], ["load", of.load_seconds === undefined ? null : seconds(of.load_seconds)],
    ["generate", of.generate_seconds === undefined ? null : seconds(of.generate_seconds)], ["varied from run", of.parent], ["taken in from", of.origin], ["uid", of.uid],
  ]));
  if (of.changes) parts.push(listed(`Changed since run ${of.parent}`, of.changes.map(([field, before, after]) => [field, `${before} → ${after}`])));
  parts.push(listed("Environment", Object.entries(environment)));
  return parts.filter(Boolean);
}

const when = (time) => time?.replace("T", " ").replace("+00:00", " UTC");
const titled = (title, ...inner) => el("section", {}, el("h3", {}, title), ...inner);

function listed(title, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!known.length) return null;
  return titled(title, el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value))])));
}

function fileLink(image, original) {
  if (!framed) return el("a", { href: original, target: "_blank", rel: "noopener" }, image.file);
  const copied = (event) => {
    event.preventDefault();
    copy(original, "Address of the original copied.");
  };
  return el("a", { href: original, onclick: copied }, "copy the original's address");
}

// The line that makes it again, to be completed and copied.
function commandOf(image) {
  const line = el("input", { id: "command", class: "command", "aria-label": "Command", spellcheck: "false", autocomplete: "off" });
  line.value = `promptlab rerun ${image.ref}`;
  const steps = image.of.setting.find(([name]) => name === "num_inference_steps")?.[1] ?? "20";
  const add = (name, option, caret) => el("button", { onclick: () => {
    line.value += option;
    line.focus();
    line.setSelectionRange(line.value.length - caret, line.value.length - caret);
  } }, name);
  return titled("Next",
    el("div", { class: "copying" }, line, el("button", { id: "copy", onclick: () => copy(line.value, "Copied.", line) }, "Copy")),
    el("div", { class: "adding" },
      add("+ words", ' --append ", "', 1),
      add("+ replace", ' --replace "OLD=>{NEW|OTHER}"', 18),
      add("+ seeds", " --seeds 0-7", 0),
      add("+ steps", ` --steps ${steps}`, 0)));
}

// A frame may refuse the clipboard; then the text is selected, to be copied by hand.
async function copy(text, done, from) {
  const box = from ?? el("input", { class: "command copied", "aria-label": "To be copied", readOnly: true });
  if (!from) {
    document.querySelector(".copied")?.remove();
    ($("viewer").open ? $("facts") : $("said")).prepend(box);
    box.value = text;
  }
  box.focus();
  box.select();
  const said = await copied(text) ? done : "Selected: press Ctrl+C to copy.";
  $("facts").querySelector(".done")?.remove();
  if ($("viewer").open) box.parentElement.after(el("p", { class: "done", role: "status" }, said));
  else { box.after(said); }
}

// Whether what is selected, which is `text`, is on the clipboard now.
async function copied(text) {
  try { if (document.execCommand("copy")) return true; } catch { /* refused */ }
  try { await navigator.clipboard.writeText(text); return true; } catch { return false; }
}

function step(key) {
  if (state.view === "table") {
    const list = through(), at = list.indexOf(viewing.image) + (key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1);
    if (list[at]) openViewer(list[at]);
    return;
  }
  const was = [...focus];
  for (;;) {
    const [row, column] = neighbour(key), cell = cells[row]?.[column];
    if (!cell) { moveTo(...was); return; }
    moveTo(row, column);
    if (cell.dataset.image) { openViewer(images[cell.dataset.image]); return; }
  }
}

function viewerKey(event) {
  if (event.target.matches("input:not([type=range]), select")) return false;
  const { key } = event;
  if (viewing.pair && compareKey(event)) return true;
  if (event.target.type === "range") return false;
  if (!viewing.pair && /^Arrow/.test(key) && !(viewing.zoom && event.target === $("stage"))) step(key);
  else if (key === "+" || key === "=") zoom(1);
  else if (key === "-") zoom(-1);
  else if (key === "0") zoom(0);
  else if (key.toLowerCase() === "c" && !viewing.pair) mark(viewing.image);
  else return false;
  return true;
}
