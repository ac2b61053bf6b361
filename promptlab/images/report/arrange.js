// What stands where: each axis is rows, columns or pages; values can be left out; what remains becomes a table.

const state = {
  role: axes.map(() => "pages"),
  page: axes.map(() => 0),
  off: axes.map(() => new Set()),
  query: "", order: "asked", size: 0, view: "grid",
};

const SHORT = 60; // characters of a wording that are read above or below a picture at a glance

// A run: rows of words, columns of seeds; as in the drawn grid the longer of both runs across, where the words are short.
// A sweep: its last two dimensions; of one dimension also words or seeds.
function arrangeAtFirst() {
  const settings = axes.flatMap((axis, at) => axis.kind === "setting" ? [at] : []);
  const others = axes.flatMap((axis, at) => axis.kind === "setting" ? [] : [at]);
  const two = [...settings.slice(-2), ...others].slice(0, 2);
  const [first, second] = two.map((at) => axes[at]);
  const across = first?.words && (!second || !settings.length && first.values.length > second.values.length)
    && first.values.every((value) => value.length <= SHORT);
  if (two.length === 2) [state.role[two[0]], state.role[two[1]]] = across ? ["columns", "rows"] : ["rows", "columns"];
  else if (two.length) state.role[two[0]] = first.words && !across ? "rows" : "columns";
}

const withRole = (role) => axes.flatMap((_, at) => state.role[at] === role ? [at] : []);
const kept = (at) => axes[at].values.flatMap((_, place) => state.off[at].has(place) ? [] : [place]);

function through() {
  const matches = matcher(state.query);
  return images.filter((image) => matches(image.text) && image.at.every((place, at) => !state.off[at].has(place)));
}

// The table that is asked for: rows and columns as lists of places on their axes, and the picture at each crossing.
function arranged() {
  const rowAxes = withRole("rows"), columnAxes = withRole("columns"), pageAxes = withRole("pages");
  for (const at of pageAxes) if (state.off[at].has(state.page[at])) state.page[at] = kept(at)[0] ?? 0;
  const shown = through().filter((image) => pageAxes.every((at) => image.at[at] === state.page[at]));
  const rows = gathered(shown, rowAxes), columns = gathered(shown, columnAxes), cells = new Map();
  for (const image of shown) cells.set(`${keyOf(image, rowAxes)}|${keyOf(image, columnAxes)}`, image);
  const flow = rowAxes.length === 0 && columnAxes.length > 0;
  ordered(rows);
  if (flow) ordered(columns);
  return { rowAxes, columnAxes, rows, columns, cells, shown, flow };
}

const keyOf = (image, some) => some.map((at) => image.at[at]).join();

function gathered(shown, some) {
  const found = new Map();
  for (const image of shown) {
    const key = keyOf(image, some);
    if (!found.has(key)) found.set(key, { key, places: some.map((at) => image.at[at]), images: [] });
    found.get(key).images.push(image);
  }
  return [...found.values()].sort((one, other) => {
    const at = one.places.findIndex((place, at) => place !== other.places[at]);
    return at < 0 ? 0 : one.places[at] - other.places[at];
  });
}

function ordered(lines) {
  if (state.order === "asked") return;
  const sign = state.order === "fast" ? 1 : -1;
  const paces = new Map(lines.map((line) => [line, meanPace(line.images)]));
  lines.sort((one, other) => {
    const [a, b] = [paces.get(one), paces.get(other)];
    return a === null || b === null ? (a === null) - (b === null) : sign * (a - b);
  });
}

// The panel in which axes get their roles and lose values.
function showAxes() {
  $("axes").replaceChildren(...axes.map((axis, at) => el("div", { class: "axis" },
    el("span", { class: "name" }, axis.name, el("small", {}, `${kept(at).length} of ${axis.values.length}`)),
    el("div", { class: "switch", role: "group", "aria-label": `${axis.name} as` }, ...["rows", "columns", "pages"].map((role) =>
      el("button", { "aria-pressed": `${state.role[at] === role}`, onclick: () => setRole(at, role) }, role))),
    valuesOf(axis, at),
  )), axes.length > 1 ? el("button", { class: "swap", onclick: swap }, "Swap rows and columns") : "");
}

function setRole(at, role) {
  state.role[at] = role;
  state.size = 0;
  showAxes();
  show();
  focusIn($("axes"), `.axis:nth-child(${at + 1}) [aria-pressed=true]`);
}

function valuesOf(axis, at) {
  const list = el("details", { class: "values" }, el("summary", {}, "Values"));
  const fillList = () => {
    if (list.children.length > 1) return;
    const boxes = axis.values.map((value, place) => {
      const box = el("input", { type: "checkbox", onchange: () => { state.off[at][box.checked ? "delete" : "add"](place); changed(); } });
      box.checked = !state.off[at].has(place);
      return el("label", {}, box, value || "(empty)");
    });
    const changed = () => { list.previousSibling.previousSibling.lastChild.textContent = `${kept(at).length} of ${axis.values.length}`; show(); };
    const set = (on) => () => {
      state.off[at] = new Set(on ? [] : axis.values.keys());
      for (const label of boxes) label.firstChild.checked = on;
      changed();
    };
    const both = [el("button", { onclick: set(true) }, "All"), el("button", { onclick: set(false) }, "None")];
    list.append(el("div", { class: "box" }, el("div", { class: "both" }, ...both), ...boxes));
  };
  list.addEventListener("toggle", () => { if (list.open) fillList(); });
  return list;
}

function swap() {
  state.role = state.role.map((role) => ({ rows: "columns", columns: "rows", pages: "pages" })[role]);
  state.size = 0;
  showAxes();
  show();
  focusIn($("axes"), ".swap");
}

// The line in which pages are turned, one turner for each axis that makes pages.
function showPages() {
  const turners = withRole("pages").map((at) => {
    const places = kept(at), axis = axes[at];
    const choose = el("select", { "aria-label": axis.name, onchange: () => { state.page[at] = Number(choose.value); show(); } },
      ...places.map((place) => el("option", { value: String(place), selected: place === state.page[at] }, axis.values[place] || "(empty)")));
    const turn = (step) => () => turnPage(at, step);
    const button = (sign, by, name) => el("button", { class: "icon", "aria-label": `${axis.name}: ${name}`, onclick: turn(by) }, sign);
    return el("span", { class: "turner" }, el("span", {}, axis.name), button("‹", -1, "before"), choose, button("›", 1, "next"));
  });
  const focused = document.activeElement?.getAttribute("aria-label");
  $("pages").replaceChildren(...turners);
  $("pages").hidden = turners.length === 0 || state.view === "table";
  if (focused && !$("pages").hidden) focusIn($("pages"), `[aria-label="${CSS.escape(focused)}"]`);
}

function turnPage(at, step) {
  if (at === undefined) return;
  const places = kept(at);
  if (!places.length) return;
  state.page[at] = places[(places.indexOf(state.page[at]) + step + places.length) % places.length];
  show();
}
