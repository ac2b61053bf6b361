// Everything recorded about a picture, and the line that goes on from it.

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
    ["made at", when(image.made)], ["verified", image.verified],
    ...Object.entries(image.scores ?? {}).map(([scorer, value]) => [`${scorer} score`, value]), ["pixels sha256", image.pixels], ["recipe key", image.recipe],
    ["file", original ? fileLink(image, original) : image.file],
    ["MLflow", address && runLink(image, framed ? "copy its page's address" : "its page")],
  ]));
  parts.push(listed("Setting", of.setting.concat([["model identity", of.model_identity], ["vae identity", of.vae_identity]])));
  if (of.values) parts.push(listed(`Sweep ${of.sweep}`, of.values));
  parts.push(listed("Run", [
    ["run", of.id], ["name", of.name], ["experiment", of.experiment], ["note", of.note ?? data.note], ["status", of.status], ["error", of.error], ["said of its weights", of.remarks?.join("; ")],
    ["began", when(of.created)], ["ended", when(of.ended)], ["load", of.load_seconds === undefined ? null : seconds(of.load_seconds)],
    ["generate", of.generate_seconds === undefined ? null : seconds(of.generate_seconds)], ["varied from run", of.parent], ["taken in from", of.origin], ["uid", of.uid],
  ]));
  if (of.changes) parts.push(listed(`Changed since run ${of.parent}`, of.changes.map(([field, before, after]) => [field, `${before} → ${after}`])));
  parts.push(listed("Environment", Object.entries(environment)));
  return parts.filter(Boolean);
}

const when = (time) => time?.replace("T", " ").replace("+00:00", " UTC");

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
  const page = livePage(image);
  return titled("Next",
    el("div", { class: "copying" }, line, el("button", { id: "copy", onclick: () => copy(line.value, "Copied.", line) }, "Copy")),
    el("div", { class: "adding" },
      add("+ words", ' --append ", "', 1),
      add("+ replace", ' --replace "OLD=>{NEW|OTHER}"', 18),
      add("+ seeds", " --seeds 0-7", 0),
      add("+ steps", ` --steps ${steps}`, 0)),
    page && el("p", { class: "live" }, el("a", { href: page, target: "_blank", rel: "noopener" }, "Go on from it on the page"), inPage ? "" : el("span", {}, ", while `promptlab ui` has it open")));
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

// What a whole run was asked for, said at once: its words where they are the same in all pictures, and where it came from.
function head() {
  const [run] = runs, [wording] = words, parts = [];
  if (words.length === 1) {
    parts.push(el("p", { class: "words" }, ...(wording.before ? diffNodes(wording.before, wording.prompt) : [wording.prompt || "(empty prompt)"])));
    if (wording.negative) parts.push(el("p", { class: "words not" }, "not ", wording.negative));
  }
  if (runs.length === 1 && run.parent) {
    const changes = (run.changes ?? []).map(([field, before, after]) => `${field} ${before} → ${after}`);
    const kinds = words.some((one) => one.before) ? ["words marked as they changed since then"] : [];
    parts.push(el("p", { class: "facts" }, ...[`varied from run ${run.parent}`, ...changes, ...kinds].map((one) => el("span", {}, one))));
  }
  return parts;
}
